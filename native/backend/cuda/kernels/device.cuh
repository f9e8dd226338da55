// Number conversions, vector loads and stores, GELU, reductions and launch helpers that the kernels share.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backend/cuda/kernels/pdl.cuh"
#include "backend/cuda/kernels/ptx_sm80.cuh"
#include "backend/ops.h"

namespace pi05::kernels {

using bf16 = __nv_bfloat16;
using fp16 = __half;
using fp8 = __nv_fp8_e4m3;
constexpr float kMaxE4M3 = 448;

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float widen(fp16 x) { return __half2float(x); }

template <typename Value>
__device__ __forceinline__ Value narrow(float x);
template <>
__device__ __forceinline__ float narrow<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 narrow<bf16>(float x) {
  return __float2bfloat16_rn(x);
}
// Magnitudes above 65504, the largest fp16 value, become 65504.
template <>
__device__ __forceinline__ fp16 narrow<fp16>(float x) {
  return __ushort_as_half(ptx::cvt_f16_satfinite(x));
}

// Two values in 32 bits, the first in the lower half.
template <typename Value>
__device__ __forceinline__ uint32_t packed(float low, float high);
template <>
__device__ __forceinline__ uint32_t packed<bf16>(float low, float high) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&both);
}
template <>
__device__ __forceinline__ uint32_t packed<fp16>(float low, float high) {
  return ptx::cvt_f16x2_satfinite(low, high);
}

__device__ __forceinline__ float2 load2(const float* p) { return *reinterpret_cast<const float2*>(p); }
__device__ __forceinline__ float2 load2(const bf16* p) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(p));
}
__device__ __forceinline__ float2 load2(const fp16* p) { return __half22float2(*reinterpret_cast<const __half2*>(p)); }
__device__ __forceinline__ void store2(float* p, float2 v) { *reinterpret_cast<float2*>(p) = v; }
template <typename Value>
__device__ __forceinline__ void store2(Value* p, float2 v) {
  *reinterpret_cast<uint32_t*>(p) = packed<Value>(v.x, v.y);
}

__device__ __forceinline__ void store4(float* p, float4 v) { *reinterpret_cast<float4*>(p) = v; }
template <typename Value>
__device__ __forceinline__ void store4(Value* p, float4 v) {
  *reinterpret_cast<uint2*>(p) = make_uint2(packed<Value>(v.x, v.y), packed<Value>(v.z, v.w));
}

__device__ __forceinline__ void store4(fp8* p, float4 v) {
  const uint32_t low = __nv_cvt_float2_to_fp8x2(make_float2(v.x, v.y), __NV_SATFINITE, __NV_E4M3),
                 high = __nv_cvt_float2_to_fp8x2(make_float2(v.z, v.w), __NV_SATFINITE, __NV_E4M3);
  *reinterpret_cast<uint32_t*>(p) = low | high << 16;
}

constexpr float kLog2E = 1.4426950408889634f;  // log2(e): exp(x) = exp2(kLog2E * x)

// GELU with the tanh approximation, x * (1 + tanh(u)) / 2 with u = sqrt(2 / pi) * (x + 0.044715 x³). Four forms,
// because results must not change: each is used where the bits of its results are part of the reference.
__device__ __forceinline__ float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}
// For 16-bit results: x / (1 + exp(-2 u)) with approximate instructions, exact to within bf16 rounding.
__device__ __forceinline__ float gelu_tanh_fast(float x) {
  const float power = ptx::ex2_approx_ftz(x * fmaf(x * x, -0.10294324f, -2.3022082f));
  return x * ptx::rcp_approx_ftz(1.0f + power);
}
// For results that are rounded to e4m3 next: one instruction for tanh, with a relative error of about 2^-11.
__device__ __forceinline__ float gelu_tanh_approx(float x) {
  const float half = 0.5f * x;
  return fmaf(half, ptx::tanh_approx(x * fmaf(x * x, 0.035677408f, 0.7978845608f)), half);
}
// The persistent expert's: x - x / (exp(2 u) + 1).
__device__ __forceinline__ float gelu_tanh_expf(float x) {
  const float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return x - x / (__expf(2.f * u) + 1.f);
}

// The sum over all threads of a block (at most 1024), returned to each of them.
__device__ __forceinline__ float block_sum(float x) {
  __shared__ float sums[32];  // of each warp
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  const int warps = static_cast<int>(blockDim.x) / 32;
  __syncthreads();  // the previous sum has been read
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < warps; i++) sum += sums[i];
  return sum;
}

// The largest of non-negative values over all threads of a block (at most 1024), returned to each of them; NaN if one
// is NaN.
__device__ __forceinline__ float block_max(float x) {
  __shared__ unsigned largest[32];  // of each warp: such values have the order of their bits
  unsigned bits = __reduce_max_sync(~0u, __float_as_uint(x));
  const int warps = static_cast<int>(blockDim.x) / 32;
  __syncthreads();  // the previous maximum has been read
  if (threadIdx.x % 32 == 0) largest[threadIdx.x / 32] = bits;
  __syncthreads();
  for (int i = 0; i < warps; i++) bits = max(bits, largest[i]);
  return __uint_as_float(bits);
}

// max(largest, |x|), or NaN where x is NaN.
__device__ __forceinline__ float max_magnitude(float largest, float x) {
  return __uint_as_float(max(__float_as_uint(largest), __float_as_uint(fabsf(x))));
}

// The scale of a row of e4m3 values whose largest magnitude is `largest`, and what the row is multiplied by before it
// is rounded. Rows of zeros (below 1e-30) stay zeros.
struct RowScale {
  float scale, inverse;
  __device__ explicit RowScale(float largest)
      : scale(largest * (1.0f / kMaxE4M3)), inverse(largest < 1e-30f ? 0.0f : kMaxE4M3 / largest) {}
};

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Number of blocks for `items` items, of which a block processes `block_items`.
constexpr unsigned blocks_for(int64_t items, int64_t block_items) {
  return static_cast<unsigned>(ceil_div(items, block_items));
}

// Whether every row of 16-bit elements begins at a multiple of 16 bytes, as cp.async and TMA require.
inline bool rows_aligned(const void* data, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
}
// The same for e4m3.
inline bool rows_aligned_e4m3(const void* data, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 16 == 0;
}

// Calls body with a null pointer to the C++ type of `type`.
template <typename Body>
cudaError_t by_type(DType type, Body body) {
  if (type == DType::F32) return body(static_cast<float*>(nullptr));
  if (type == DType::BF16) return body(static_cast<bf16*>(nullptr));
  if (type == DType::F16) return body(static_cast<fp16*>(nullptr));
  return cudaErrorInvalidValue;
}

}  // namespace pi05::kernels
