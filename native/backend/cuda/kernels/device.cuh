// Small things that kernels share.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backend/ops.h"

namespace pi05::kernels {

using bf16 = __nv_bfloat16;
using fp16 = __half;

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
// fp16's largest value is 65504: larger ones become that.
template <>
__device__ __forceinline__ fp16 narrow<fp16>(float x) {
  fp16 result;
  asm("cvt.rn.satfinite.f16.f32 %0, %1;" : "=h"(*reinterpret_cast<uint16_t*>(&result)) : "f"(x));
  return result;
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
  uint32_t both;
  asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
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

__device__ __forceinline__ float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

// The same to within what bf16 keeps: x / (1 + exp(-2 u)).
__device__ __forceinline__ float gelu_tanh_fast(float x) {
  float power, inverse;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x * fmaf(x * x, -0.10294324f, -2.3022082f)));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.0f + power));
  return x * inverse;
}

// 2 to the x, to within what bf16 keeps many times over.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The sum over all threads of a block of at most 1024, known to each of them.
__device__ __forceinline__ float block_sum(float x) {
  __shared__ float parts[32];
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  const int warps = static_cast<int>(blockDim.x) / 32;
  __syncthreads();  // the last sum has been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < warps; i++) sum += parts[i];
  return sum;
}

// The next kernel may be started while this one runs, if it waits by itself for this one's end (Hopper).
__device__ __forceinline__ void pdl_trigger() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
// What the kernels before this one have written is there, and they have read what they read. Every block of a kernel
// that launch_pdl() starts waits so before it reads what they write and before it writes: then it does not end before
// they do, and who waits for it has waited for all. Weights, and what was written before a kernel that began late (an
// inference's inputs, the modulation), may be read without.
__device__ __forceinline__ void pdl_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Where the kernel's code can wait, it may begin before its predecessor ends.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_pdl(void (*kernel)(Parameters...), dim3 grid, dim3 block, int64_t shared, cudaStream_t stream,
                       Arguments... arguments) {
  cudaFuncAttributes code{};
  const cudaError_t result = cudaFuncGetAttributes(&code, kernel);
  if (result != cudaSuccess) return result;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t launch{};
  launch.gridDim = grid, launch.blockDim = block, launch.dynamicSmemBytes = static_cast<size_t>(shared);
  launch.stream = stream, launch.attrs = &early, launch.numAttrs = code.ptxVersion >= 90;
  return cudaLaunchKernelEx(&launch, kernel, (Parameters)(arguments)...);
}

inline unsigned blocks_for(int64_t items, int64_t threads) {
  return static_cast<unsigned>((items + threads - 1) / threads);
}

// Calls body with a null pointer of the matrix's value type.
template <typename Body>
cudaError_t by_type(DType type, Body body) {
  if (type == DType::F32) return body(static_cast<float*>(nullptr));
  if (type == DType::BF16) return body(static_cast<bf16*>(nullptr));
  if (type == DType::F16) return body(static_cast<fp16*>(nullptr));
  return cudaErrorInvalidValue;
}

}  // namespace pi05::kernels
