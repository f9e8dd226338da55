// Adaptive RMSNorm of the persistent expert kernel.
#pragma once

#include "backend/cuda/kernels/expert_exchange.cuh"

namespace pi05::expert {

// Scale, shift and gate (3, 1024) of norm `index` of a step.
template <int T>
__device__ __forceinline__ const float* modulation_at(const Context<T>& c, int step, int index) {
  return c.p.mod + (size_t(step) * (2 * c.p.layers + 1) + index) * 3 * kWidth;
}

// Starts to copy scale and shift of a later norm, this warp's 128 columns, to shared memory.
template <int T>
__device__ __forceinline__ void prefetch_modulation(const Context<T>& c, int step, int index) {
  const float* src = modulation_at(c, step, index);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int at = i * kWidth + c.warp * 128 + c.lane * 4;
    ptx::cp_async_16(ptx::smem_address(c.mod + at), src + at);
  }
  ptx::cp_async_commit_group();
}

// Waits for the residual x and returns rmsnorm(x) * (1 + scale) + shift, this warp's 128 columns. Scale and shift are
// those prefetched last.
template <int T>
__device__ __forceinline__ Fragments<4> adaptive_rms_norm(const Context<T>& c, const __nv_bfloat16* x) {
  const int warp = c.warp, lane = c.lane;
  ptx::cp_async_wait_all();
  __syncwarp();
  const float4* scale_at = reinterpret_cast<const float4*>(c.mod + warp * 128 + (lane & 3) * 8);
  float4 scale[4][2];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const float4 v = scale_at[i / 2 * 8 + i % 2];
    scale[i / 2][i % 2] = make_float4(1.f + v.x, 1.f + v.y, 1.f + v.z, 1.f + v.w);
  }
  wait_until_published(&x[fragment_offset(15, warp * 128 + (lane & 15) * 8 + 6)]);
  Fragments<4> a = receive<4>(x, warp * 128, lane);
  float low[4][8], high[4][8], sums[2][2] = {};
#pragma unroll
  for (int b = 0; b < 4; ++b) {
    auto scaled = [&](float (&to)[8], uint4 v, float& sum) {
      const uint32_t w[4] = {v.x, v.y, v.z, v.w};
      const float by[8] = {scale[b][0].x, scale[b][0].y, scale[b][0].z, scale[b][0].w,
                           scale[b][1].x, scale[b][1].y, scale[b][1].z, scale[b][1].w};
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float x = i & 1 ? high_half(w[i / 2]) : low_half(w[i / 2]);
        sum += x * x;
        to[i] = x * by[i];
      }
    };
    scaled(low[b], a.low[b], sums[0][b & 1]);
    scaled(high[b], a.high[b], sums[1][b & 1]);
  }
  float l = sums[0][0] + sums[0][1], h = sums[1][0] + sums[1][1];
  l += __shfl_xor_sync(~0u, l, 1), h += __shfl_xor_sync(~0u, h, 1);
  l += __shfl_xor_sync(~0u, l, 2), h += __shfl_xor_sync(~0u, h, 2);
  if ((lane & 3) == 0) c.s.squares[lane >> 2][warp] = l, c.s.squares[(lane >> 2) + 8][warp] = h;
  sync_consumers();
  auto inverse_rms = [&](int row) {
    const float4* all = reinterpret_cast<const float4*>(c.s.squares[row]);
    const float4 u = all[0], v = all[1];
    return rsqrtf((((u.x + u.y) + (u.z + u.w)) + ((v.x + v.y) + (v.z + v.w))) * (1.f / kWidth) + 1e-6f);
  };
  l = inverse_rms(lane >> 2), h = inverse_rms((lane >> 2) + 8);
#pragma unroll
  for (int b = 0; b < 4; ++b) {
    const float4 h0 = scale_at[kWidth / 4 + b * 8], h1 = scale_at[kWidth / 4 + b * 8 + 1];
    auto modulate = [&](uint4& u, const float (&v)[8], float i) {
      u.x = packed<bf16>(v[0] * i + h0.x, v[1] * i + h0.y);
      u.y = packed<bf16>(v[2] * i + h0.z, v[3] * i + h0.w);
      u.z = packed<bf16>(v[4] * i + h1.x, v[5] * i + h1.y);
      u.w = packed<bf16>(v[6] * i + h1.z, v[7] * i + h1.w);
    };
    modulate(a.low[b], low[b], l);
    modulate(a.high[b], high[b], h);
  }
  return a;
}

}  // namespace pi05::expert
