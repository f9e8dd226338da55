// Adaptive RMSNorm of the persistent expert kernel.
#pragma once

#include "backend/cuda/kernels/expert_exchange.cuh"

namespace pi05::expert {

constexpr float kEpsilon = 1e-6f;

// Scale, shift and gate (3, 1024) of norm `index` of a step: 2 * layer before attention, 2 * layer + 1 before the MLP,
// 2 * layers the last. Frozen rows have those of the step after the last one.
template <int OwnedTiles>
__device__ __forceinline__ const float* modulation_at(const Context<OwnedTiles>& ctx, int step, int index) {
  return ctx.p.modulation + (size_t(step) * (2 * ctx.p.layers + 1) + index) * 3 * kWidth;
}

__device__ __forceinline__ bool is_frozen(const KernelParams& p, int row) {
  return row < p.rows && p.frozen_mask[row] != 0.f;
}

// Starts to copy scale and shift of a later norm, this warp's 128 columns, to shared memory.
template <bool FrozenRows, int OwnedTiles>
__device__ __forceinline__ void prefetch_modulation(const Context<OwnedTiles>& ctx, int step, int index) {
  const float* scale_shift = modulation_at(ctx, step, index);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int offset = i * kWidth + ctx.warp * 128 + ctx.lane * 4;
    ptx::cp_async_16(ptx::smem_address(ctx.modulation + offset), scale_shift + offset);
    if constexpr (FrozenRows)
      ptx::cp_async_16(ptx::smem_address(ctx.frozen_modulation + offset),
                       modulation_at(ctx, ctx.p.steps, index) + offset);
  }
  ptx::cp_async_commit_group();
}

// Waits for the residual x and returns rmsnorm(x) * (1 + scale) + shift, this warp's 128 columns. Scale and shift are
// those of the last prefetch_modulation().
template <bool FrozenRows, int OwnedTiles>
__device__ __forceinline__ Fragments<4> adaptive_rms_norm(const Context<OwnedTiles>& ctx, const __nv_bfloat16* x) {
  constexpr int kHigh = FrozenRows ? 1 : 0;  // without frozen rows, low and high rows have the same scale and shift
  const int warp = ctx.warp, lane = ctx.lane;
  ptx::cp_async_wait_all();
  __syncwarp();
  const float4* modulation[kHigh + 1];
  float4 scale[kHigh + 1][4][2];
#pragma unroll
  for (int half = 0; half <= kHigh; ++half) {
    const bool frozen = FrozenRows && is_frozen(ctx.p, (lane >> 2) + 8 * half);
    modulation[half] = reinterpret_cast<const float4*>((frozen ? ctx.frozen_modulation : ctx.modulation) + warp * 128 +
                                                       (lane & 3) * 8);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float4 v = modulation[half][i / 2 * 8 + i % 2];
      scale[half][i / 2][i % 2] = make_float4(1.f + v.x, 1.f + v.y, 1.f + v.z, 1.f + v.w);
    }
  }
  wait_until_published(&x[fragment_offset(15, warp * 128 + (lane & 15) * 8 + 6)]);
  Fragments<4> a = receive<4>(x, warp * 128, lane);
  float low[4][8], high[4][8], sums[2][2] = {};
#pragma unroll
  for (int b = 0; b < 4; ++b) {
    auto scale_and_square = [&](float (&scaled)[8], uint4 words, const float4(&scale)[2], float& sum) {
      const uint32_t word[4] = {words.x, words.y, words.z, words.w};
      const float factor[8] = {scale[0].x, scale[0].y, scale[0].z, scale[0].w,
                               scale[1].x, scale[1].y, scale[1].z, scale[1].w};
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float x = i & 1 ? high_half(word[i / 2]) : low_half(word[i / 2]);
        sum += x * x;
        scaled[i] = x * factor[i];
      }
    };
    scale_and_square(low[b], a.low[b], scale[0][b], sums[0][b & 1]);
    scale_and_square(high[b], a.high[b], scale[kHigh][b], sums[1][b & 1]);
  }
  float low_sum = sums[0][0] + sums[0][1], high_sum = sums[1][0] + sums[1][1];
  low_sum += __shfl_xor_sync(~0u, low_sum, 1), high_sum += __shfl_xor_sync(~0u, high_sum, 1);
  low_sum += __shfl_xor_sync(~0u, low_sum, 2), high_sum += __shfl_xor_sync(~0u, high_sum, 2);
  if ((lane & 3) == 0)
    ctx.state.squares[lane >> 2][warp] = low_sum, ctx.state.squares[(lane >> 2) + 8][warp] = high_sum;
  sync_consumers();
  auto inverse_rms = [&](int row) {
    const float4* sums_of_warps = reinterpret_cast<const float4*>(ctx.state.squares[row]);
    const float4 u = sums_of_warps[0], v = sums_of_warps[1];
    return rsqrtf((((u.x + u.y) + (u.z + u.w)) + ((v.x + v.y) + (v.z + v.w))) * (1.f / kWidth) + kEpsilon);
  };
  const float low_scale = inverse_rms(lane >> 2), high_scale = inverse_rms((lane >> 2) + 8);
#pragma unroll
  for (int b = 0; b < 4; ++b) {
    auto normalise = [&](uint4& out, const float (&scaled)[8], float factor, const float4* shift) {
      const float4 shift0 = shift[b * 8], shift1 = shift[b * 8 + 1];
      out.x = packed<bf16>(scaled[0] * factor + shift0.x, scaled[1] * factor + shift0.y);
      out.y = packed<bf16>(scaled[2] * factor + shift0.z, scaled[3] * factor + shift0.w);
      out.z = packed<bf16>(scaled[4] * factor + shift1.x, scaled[5] * factor + shift1.y);
      out.w = packed<bf16>(scaled[6] * factor + shift1.z, scaled[7] * factor + shift1.w);
    };
    normalise(a.low[b], low[b], low_scale, modulation[0] + kWidth / 4);
    normalise(a.high[b], high[b], high_scale, modulation[kHigh] + kWidth / 4);
  }
  return a;
}

}  // namespace pi05::expert
