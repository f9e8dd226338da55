// Hopper's instructions that the persistent expert kernel is made of, and its mail: words in global memory that say by
// themselves whether they have been written.
#pragma once

#include <stdint.h>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/ptx_sm90.cuh"

namespace pi05::expert {

using kernels::bf16, kernels::fp16, kernels::packed;

// A word of mail that has not been written.
constexpr uint32_t kEmpty = 0xffffffffu;

__device__ __forceinline__ uint4 bits(float a, float b, float c, float d) {
  return make_uint4(__float_as_uint(a), __float_as_uint(b), __float_as_uint(c), __float_as_uint(d));
}
__device__ __forceinline__ void sync_consumers() { ptx::bar_sync<1, 256>(); }
__device__ __forceinline__ bool empty(uint32_t v) { return v == kEmpty; }
__device__ __forceinline__ bool empty(uint4 v) {
  return v.x == kEmpty || v.y == kEmpty || v.z == kEmpty || v.w == kEmpty;
}
__device__ __forceinline__ float lo(uint32_t v) { return __uint_as_float(v << 16); }
__device__ __forceinline__ float hi(uint32_t v) { return __uint_as_float(v & 0xffff0000u); }

}  // namespace pi05::expert
