// Tensor maps for TMA, encoded on the host.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/ops.h"

namespace pi05::kernels {

// cuTensorMapEncodeTiled of the driver; null where the driver lacks it.
inline decltype(&cuTensorMapEncodeTiled) tensor_map_encoder() {
  static const auto encoder = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
#else
    cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#endif
    if (!found) cudaGetLastError();  // clear it: the next launch must not report it
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  }();
  return encoder;
}

// Encodes a tensor map of bf16 or fp16 (TMA only copies, so both are encoded as bf16). The innermost dimension is
// first. sizes and box: elements. strides: bytes, of all dimensions but the innermost, multiples of 16. Boxes read
// zeros outside the tensor.
template <size_t kRank>
cudaError_t encode_tensor_map(void* data, const cuuint64_t (&sizes)[kRank], const cuuint64_t (&strides)[kRank - 1],
                              const cuuint32_t (&box)[kRank], CUtensorMapSwizzle swizzle, CUtensorMap* map) {
  const auto encode = tensor_map_encoder();
  if (!encode) return cudaErrorNotSupported;
  cuuint32_t element_strides[kRank];
  std::fill_n(element_strides, kRank, 1);
  const CUresult result = encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, kRank, data, sizes, strides, box,
                                 element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

// Map of a matrix with boxes of `rows` rows by 64 columns, swizzled as wgmma_descriptor_128b expects.
inline cudaError_t tensor_map(const Matrix& matrix, int64_t rows, CUtensorMap* map) {
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(matrix.cols), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(matrix.stride) * 2};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(rows)};
  return encode_tensor_map(matrix.data, sizes, strides, box, CU_TENSOR_MAP_SWIZZLE_128B, map);
}

}  // namespace pi05::kernels
