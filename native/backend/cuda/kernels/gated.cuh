// gelu(x · gateᵀ) * (x · upᵀ) as one product of Hopper's warpgroups: out's columns come from the rows of `weight`, where
// 8 rows of gate and the same 8 of up take turns; a thread holds both for the same column and the same two rows of x.
#pragma once

#include <cuda_bf16.h>

#include "backend/cuda/kernels/wgmma.cuh"

namespace pi05::hopper {

// A block's tile: kGroups warpgroups of kHalves * 64 rows of weight, by kRows rows of x. Two blocks of a cluster, side by
// side in weight, each load half of x's rows for both.
template <int kGroups_, int kHalves_, int kRows_, int kCluster_, int kStages_, int kTurns_, int kLead_>
struct GatedTile {
  static constexpr int kGroups = kGroups_, kHalves = kHalves_, kRows = kRows_, kCluster = kCluster_;
  static constexpr int kStages = kStages_;
  static constexpr int kTurns = kTurns_;  // in which a group's results leave
  static constexpr int kLead = kLead_;    // steps that each group starts after the one before it
  static constexpr int kWeights = 64 * kHalves * kGroups, kCols = kWeights / 2;
  static constexpr int kThreads = 128 * (kGroups + 1);
  static constexpr int kWeightBytes = kWeights * 128, kStageBytes = kWeightBytes + kRows * 128;
  static constexpr int kOutCols = 32 * kHalves, kOutRows = kRows / kTurns;  // of one group in a turn
  static constexpr int kOutBytes = kOutCols * kOutRows * 2;
  static constexpr int kBytes = kStages * kStageBytes + kGroups * kOutBytes + 16 * kStages + 1024;
  static constexpr int kRegisters = kGroups == 2 ? 232 : kGroups == 3 ? 160 : 120;
  static constexpr int kLoaderRegisters = kGroups == 2 ? 40 : kGroups == 3 ? 32 : 24;
  static_assert(kBytes <= 232448 && kRows % (16 * kTurns) == 0 && kOutBytes % 1024 == 0);
};

__device__ __forceinline__ float gelu(float x) {  // x / (1 + exp(-2 u))
  const float power = x * fmaf(x * x, -0.044715f * 2.302208198f, -2.302208198f);
  float e, r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(power));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(1.0f + e));
  return x * r;
}

__device__ __forceinline__ uint32_t pack(float a, float b) {
  const __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&v);
}

// 8 columns of out by 8 rows of x
__device__ __forceinline__ uint32_t gated_pair(const float* sums) {
  return pack(gelu(sums[0]) * sums[2], gelu(sums[1]) * sums[3]);
}

template <typename Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    gated_kernel(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                 const __grid_constant__ CUtensorMap out, int row_tiles, int tiles, int steps) {
  extern __shared__ uint8_t shared[];
  const uint32_t base = (smem_u32(shared) + 1023) & ~1023u;
  const uint32_t results = base + Tile::kStages * Tile::kStageBytes;
  const uint32_t full = results + Tile::kGroups * Tile::kOutBytes, empty = full + 8 * Tile::kStages;
  const uint32_t rank = Tile::kCluster > 1 ? cluster_rank() : 0;
  const int group = __shfl_sync(~0u, threadIdx.x / 128, 0), lane = threadIdx.x % 32;
  const int first = blockIdx.x / Tile::kCluster, clusters = gridDim.x / Tile::kCluster;

  if (threadIdx.x == 0) {
    for (int i = 0; i < Tile::kStages; i++) {
      mbar_init(full + 8 * i, 1);
      mbar_init(empty + 8 * i, 4 * Tile::kGroups * Tile::kCluster);
    }
    mbar_init_fence();
  }
  if (Tile::kCluster > 1)
    cluster_sync();
  else
    __syncthreads();

  if (group == Tile::kGroups) {
    give_registers<Tile::kLoaderRegisters>();
    if (threadIdx.x == 128 * Tile::kGroups) {
      tma_prefetch(&weight), tma_prefetch(&x), tma_prefetch(&out);
      int stage = 0, parity = 1;
      for (int tile = first; tile < tiles; tile += clusters) {
        const int weight_row = (tile / row_tiles * Tile::kCluster + static_cast<int>(rank)) * Tile::kWeights;
        constexpr int kPart = Tile::kRows / Tile::kCluster;
        const int row = tile % row_tiles * Tile::kRows + static_cast<int>(rank) * kPart;
#pragma unroll 1
        for (int step = 0; step < steps; step++) {
          mbar_wait(empty + 8 * stage, parity);
          const uint32_t bar = full + 8 * stage, to = base + stage * Tile::kStageBytes;
          mbar_expect(bar, Tile::kStageBytes);
          tma_load(to, &weight, step * 64, weight_row, bar);
          if (Tile::kCluster > 1)
            tma_load(to + Tile::kWeightBytes + rank * kPart * 128, &x, step * 64, row, bar,
                     static_cast<uint16_t>((1 << Tile::kCluster) - 1));
          else
            tma_load(to + Tile::kWeightBytes, &x, step * 64, row, bar);
          if (++stage == Tile::kStages) stage = 0, parity ^= 1;
        }
      }
    }
  } else {
    take_registers<Tile::kRegisters>();
    const int warp = threadIdx.x / 32 % 4;
    float sums[Tile::kHalves][Tile::kRows / 2];
    int stage = 0, parity = 0;
    const auto release = [&](int which) {
      const uint32_t bar = empty + 8 * which;
      if (Tile::kCluster == 1) {
        if (lane == 0) mbar_arrive(bar);
      } else if (lane < Tile::kCluster) {
        mbar_arrive_at(bar, lane);
      }
    };
    if (Tile::kLead > 0 && group > 0) named_sync(8 + group, 256);
    for (int tile = first; tile < tiles; tile += clusters) {
      int last = 0;
      for (int step = 0; step < steps; step++) {
        mbar_wait(full + 8 * stage, parity);
        const uint32_t at = base + stage * Tile::kStageBytes;
        const uint64_t weights_at = tile_of(at + group * Tile::kHalves * 8192), x_at = tile_of(at + Tile::kWeightBytes);
        wgmma_begin();
#pragma unroll
        for (int k = 0; k < 4; k++)
#pragma unroll
          for (int half = 0; half < Tile::kHalves; half++)
            wgmma<Tile::kRows>(sums[half], weights_at + half * 512 + k * 2, x_at + k * 2, step > 0 || k > 0);
        wgmma_commit();
        if (Tile::kLead > 0 && group + 1 < Tile::kGroups && tile == first && step == Tile::kLead - 1) {
          wgmma_wait<0>();
          asm volatile("bar.arrive %0, 256;" ::"r"(9 + group) : "memory");
        }
        wgmma_wait<1>();
        if (step > 0) release(last);
        last = stage;
        if (++stage == Tile::kStages) stage = 0, parity ^= 1;
      }
      wgmma_wait<0>();
#pragma unroll
      for (auto& half : sums) wgmma_done(half);
      release(last);

      const int row = tile % row_tiles * Tile::kRows;
      const int col = (tile / row_tiles * Tile::kCluster + static_cast<int>(rank)) * Tile::kCols + group * Tile::kOutCols;
      const uint32_t result = results + group * Tile::kOutBytes;
      constexpr int kPitch = 2 * Tile::kOutCols, kMask = kPitch == 128 ? 7 : 3, kShift = kPitch == 128 ? 0 : 1;
#pragma unroll
      for (int turn = 0; turn < Tile::kTurns; turn++) {
        if (threadIdx.x % 128 == 0) tma_store_read();
        named_sync(1 + group, 128);
#pragma unroll
        for (int half = 0; half < Tile::kHalves; half++) {
          const float* mine = sums[half] + turn * Tile::kOutRows / 2;
          const int chunk = half * 4 + warp;
#pragma unroll
          for (int i = 0; i < Tile::kOutRows; i += 32) {
            const int out_row = i + lane;
            const uint32_t to = result + out_row * kPitch + ((chunk ^ (out_row >> kShift & kMask)) << 4);
            if (i + 32 <= Tile::kOutRows)
              asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to),
                           "r"(gated_pair(mine + i / 2)), "r"(gated_pair(mine + i / 2 + 4)),
                           "r"(gated_pair(mine + i / 2 + 8)), "r"(gated_pair(mine + i / 2 + 12))
                           : "memory");
            else
              asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(to),
                           "r"(gated_pair(mine + i / 2)), "r"(gated_pair(mine + i / 2 + 4))
                           : "memory");
          }
        }
        tma_written();
        named_sync(1 + group, 128);
        if (threadIdx.x % 128 == 0) tma_store(&out, col, row + turn * Tile::kOutRows, result);
      }
    }
    if (threadIdx.x % 128 == 0) tma_store_read();
  }
  __syncwarp();
  if (Tile::kCluster > 1) cluster_sync();  // the other's last copies and arrivals
}

}  // namespace pi05::hopper
