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

// Encodes a tensor map, by default of bf16 or fp16 (TMA only copies, so both are encoded as bf16). The innermost
// dimension is first. sizes and box: elements. strides: bytes, of all dimensions but the innermost, multiples of 16.
// Boxes read zeros outside the tensor.
template <size_t kRank>
cudaError_t encode_tensor_map(void* data, const cuuint64_t (&sizes)[kRank], const cuuint64_t (&strides)[kRank - 1],
                              const cuuint32_t (&box)[kRank], CUtensorMapSwizzle swizzle, CUtensorMap* map,
                              CUtensorMapDataType type = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16) {
  const auto encode = tensor_map_encoder();
  if (!encode) return cudaErrorNotSupported;
  cuuint32_t element_strides[kRank];
  std::fill_n(element_strides, kRank, 1);
  const CUresult result =
      encode(map, type, kRank, data, sizes, strides, box, element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

inline CUtensorMapDataType tensor_map_type(DType type) {
  return type == DType::F32    ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
         : type == DType::E4M3 ? CU_TENSOR_MAP_DATA_TYPE_UINT8
                               : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
}

// Map of a matrix with boxes of `rows` rows by 128 bytes, swizzled as wgmma_descriptor_128b expects.
inline cudaError_t tensor_map(const Matrix& matrix, int64_t rows, CUtensorMap* map) {
  const auto bytes = static_cast<cuuint64_t>(bytes_of(matrix.dtype));
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(matrix.cols), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(matrix.stride) * bytes};
  const cuuint32_t box[] = {static_cast<cuuint32_t>(128 / bytes), static_cast<cuuint32_t>(rows)};
  return encode_tensor_map(matrix.data, sizes, strides, box, CU_TENSOR_MAP_SWIZZLE_128B, map,
                           tensor_map_type(matrix.dtype));
}

// Map of `parts` matrices one below the other (parts * rows, cols), with boxes of `box_rows` rows by 128 bytes of one
// part. Coordinates: column, row, part. Rows outside the part are neither read nor written.
inline cudaError_t tensor_map(const Matrix& matrix, int64_t parts, int64_t box_rows, CUtensorMap* map) {
  const auto bytes = static_cast<cuuint64_t>(bytes_of(matrix.dtype)), stride = static_cast<cuuint64_t>(matrix.stride);
  const auto rows = static_cast<cuuint64_t>(matrix.rows / parts);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(matrix.cols), rows, static_cast<cuuint64_t>(parts)};
  const cuuint64_t strides[] = {stride * bytes, rows * stride * bytes};
  const cuuint32_t box[] = {static_cast<cuuint32_t>(128 / bytes), static_cast<cuuint32_t>(box_rows), 1};
  return encode_tensor_map(matrix.data, sizes, strides, box, CU_TENSOR_MAP_SWIZZLE_128B, map,
                           tensor_map_type(matrix.dtype));
}

}  // namespace pi05::kernels
