// Small things that kernels share.
#pragma once

#include <cuda_bf16.h>

#include "backend/ops.h"

namespace pi05::kernels {

using bf16 = __nv_bfloat16;

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16 x) { return __bfloat162float(x); }

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

__device__ __forceinline__ float2 load2(const float* p) { return *reinterpret_cast<const float2*>(p); }
__device__ __forceinline__ float2 load2(const bf16* p) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(p));
}
__device__ __forceinline__ void store2(float* p, float2 v) { *reinterpret_cast<float2*>(p) = v; }
__device__ __forceinline__ void store2(bf16* p, float2 v) {
  *reinterpret_cast<__nv_bfloat162*>(p) = __floats2bfloat162_rn(v.x, v.y);
}

__device__ __forceinline__ void store4(float* p, float4 v) { *reinterpret_cast<float4*>(p) = v; }
__device__ __forceinline__ void store4(bf16* p, float4 v) {
  struct alignas(8) Pairs {
    __nv_bfloat162 first, second;
  };
  *reinterpret_cast<Pairs*>(p) = {__floats2bfloat162_rn(v.x, v.y), __floats2bfloat162_rn(v.z, v.w)};
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
__device__ __forceinline__ void begin_successor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
// What the kernels before this one have written is there. Every block of a kernel that launch_early() starts waits so
// before it reads or writes what they did.
__device__ __forceinline__ void after_predecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Where the kernel's code can wait, it may begin before its predecessor ends.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_early(void (*kernel)(Parameters...), dim3 grid, dim3 block, int64_t shared, cudaStream_t stream,
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
  return cudaErrorInvalidValue;
}

}  // namespace pi05::kernels
