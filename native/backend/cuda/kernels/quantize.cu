// Rows of any type to e4m3, each with a scale of its own. Launch: one block per row, which is kept in registers.
#include <algorithm>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

constexpr int kMaxThreads = 512;
constexpr int kVectors = 4;  // vectors of 8 values per thread
static_assert(8 * kVectors * kMaxThreads == kMaxQuantizedCols);

__device__ __forceinline__ void load8(const float* from, float (&to)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i += 4) {
    const float4 v = *reinterpret_cast<const float4*>(from + i);
    to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
  }
}
template <typename Narrow>
__device__ __forceinline__ void load8(const Narrow* from, float (&to)[8]) {
  struct alignas(16) Vector {
    Narrow value[8];
  };
  const Vector v = *reinterpret_cast<const Vector*>(from);
#pragma unroll
  for (int i = 0; i < 8; i++) to[i] = widen(v.value[i]);
}

template <typename From>
__global__ void __launch_bounds__(kMaxThreads)
    quantize_rows_kernel(const From* from, int64_t from_stride, fp8* to, int64_t to_stride, float* scale,
                         QuantizePlacement placement, int cols) {
  pdl_trigger();
  pdl_wait();
  from += blockIdx.x * from_stride;
  float values[kVectors][8];
  float largest = 0;
#pragma unroll
  for (int i = 0; i < kVectors; i++) {
    const int col = 8 * static_cast<int>(threadIdx.x + i * blockDim.x);
    if (col < cols) load8(from + col, values[i]);
  }
#pragma unroll
  for (int i = 0; i < kVectors; i++)
    if (8 * static_cast<int>(threadIdx.x + i * blockDim.x) < cols)
#pragma unroll
      for (const float value : values[i]) largest = max_magnitude(largest, value);
  const RowScale row(block_max(largest));

  const int64_t r = placement.first + blockIdx.x, group = placement.group;
  const int64_t to_row = group == 0 ? r : r / group * 2 * group + placement.part * group + r % group;
  if (threadIdx.x == 0) scale[to_row] = row.scale;
  to += to_row * to_stride;
#pragma unroll
  for (int i = 0; i < kVectors; i++) {
    const int col = 8 * static_cast<int>(threadIdx.x + i * blockDim.x);
    const float* const v = values[i];
    if (col < cols) {
      const auto pair = [&](int k) {
        return static_cast<uint32_t>(__nv_cvt_float2_to_fp8x2(make_float2(v[k] * row.inverse, v[k + 1] * row.inverse),
                                                              __NV_SATFINITE, __NV_E4M3));
      };
      *reinterpret_cast<uint2*>(to + col) = make_uint2(pair(0) | pair(2) << 16, pair(4) | pair(6) << 16);
    }
  }
}

}  // namespace

cudaError_t quantize_rows(const Matrix& from, const Fp8Matrix& to, const QuantizePlacement& placement,
                          cudaStream_t stream) {
  const Matrix& values = to.values;
  if (values.dtype != DType::E4M3 || from.rows <= 0 || from.cols != values.cols || from.cols % 8 != 0 ||
      from.cols > kMaxQuantizedCols || from.stride * bytes_of(from.dtype) % 16 != 0 || values.stride % 8 != 0 ||
      placement.first + from.rows > values.rows)
    return cudaErrorInvalidValue;
  const auto threads = static_cast<unsigned>(std::min<int64_t>(kMaxThreads, 32 * ceil_div(from.cols, 8 * 32)));
  return by_type(from.dtype, [&](auto* type) {
    using From = std::remove_pointer_t<decltype(type)>;
    return launch_pdl(quantize_rows_kernel<From>, static_cast<unsigned>(from.rows), threads, 0, stream, from.data,
                      from.stride, values.data, values.stride, to.scale, placement, from.cols);
  });
}

}  // namespace pi05::kernels
