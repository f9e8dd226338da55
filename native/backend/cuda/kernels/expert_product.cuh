// Products of the persistent expert kernel: 16 rows of activations in registers with weights from the ring.
#pragma once

#include "backend/cuda/kernels/expert_layout.cuh"

namespace pi05::expert {

struct Cursor {
  uint32_t stage = 0, parity = 0;
  __device__ __forceinline__ void advance(int stages) {
    if (++stage == (uint32_t)stages) stage = 0, parity ^= 1;
  }
};

// Where element (row, col) of 16 rows lies: (block of 32 columns, upper 8 rows, lane, 8 columns).
__device__ __forceinline__ int place(int row, int col) {
  return ((col >> 5) * 2 + (row >> 3)) * 256 + ((row & 7) * 4 + ((col >> 3) & 3)) * 8 + (col & 7);
}
// A warp's slice of the activations as mma fragments: rows lane / 4 (low) and lane / 4 + 8 (high), blocks of 32 inputs.
// Inputs are permuted within a block, alike for activations and weights: a lane holds 8 that are neighbours in memory.
template <int Blocks>
struct Slice {
  uint4 low[Blocks], high[Blocks];
  __device__ __forceinline__ bool incomplete() const {
    bool any = false;
#pragma unroll
    for (int b = 0; b < Blocks; ++b) any |= empty(low[b]) || empty(high[b]);
    return any;
  }
};
// Waits for mail: the blocks from column `first` on.
template <int Blocks>
__device__ __forceinline__ Slice<Blocks> receive(const __nv_bfloat16* x, int first, int lane) {
  Slice<Blocks> a;
  const __nv_bfloat16* from = x + first * kRows + lane * 8;
  do {
#pragma unroll
    for (int b = 0; b < Blocks; ++b)
      a.low[b] = ptx::ld_relaxed_v4(from + b * 512), a.high[b] = ptx::ld_relaxed_v4(from + b * 512 + 256);
  } while (a.incomplete());
  return a;
}

// Takes the next chunk out of its stage.
template <int Q, int Stage>
__device__ __forceinline__ void take(uint4 (&to)[Q], uint32_t ring, int stages, Small& s, Cursor& at, int warp,
                                     int lane) {
  ptx::mbarrier_wait(ptx::smem_address(&s.full[at.stage]), at.parity);
  const uint32_t from = ring + at.stage * Stage + warp * (Q * 512) + lane * 16;
#pragma unroll
  for (int i = 0; i < Q; ++i) to[i] = ptx::ld_shared_v4(from + i * 512);
  __syncwarp();
  if (lane == 0) ptx::mbarrier_arrive(ptx::smem_address(&s.empty[at.stage]));
  at.advance(stages);
}

// acc (16 rows x Tiles*8 outputs) = activations x weights over this warp's slice of the inputs.
template <int Tiles, int Blocks, int Q, int Stage, int Depth>
__device__ __forceinline__ void gemm(float (&acc)[Tiles][4], const Slice<Blocks>& a, uint4 (&w)[Depth][Q],
                                     uint32_t ring, int stages, Small& s, Cursor& at, int warp, int lane) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t) acc[t][0] = acc[t][1] = acc[t][2] = acc[t][3] = 0.f;
  constexpr int kChunks = Tiles * Blocks / Q;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    uint4(&now)[Q] = w[c % Depth];
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      const int t = (c * Q + i) % Tiles, b = (c * Q + i) / Tiles;
      ptx::mma<bf16>(acc[t], {a.low[b].x, a.high[b].x, a.low[b].y, a.high[b].y}, now[i].x, now[i].y);
    }
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      const int t = (c * Q + i) % Tiles, b = (c * Q + i) / Tiles;
      ptx::mma<bf16>(acc[t], {a.low[b].z, a.high[b].z, a.low[b].w, a.high[b].w}, now[i].z, now[i].w);
    }
    if (c + Depth < kChunks) take<Q, Stage>(now, ring, stages, s, at, warp, lane);
  }
}

// Writes this warp's partial tiles to the split-K scratch and lets all see them. A barrier since the last gather is the
// caller's duty.
template <int Tiles>
__device__ __forceinline__ void spill(const float (&acc)[Tiles][4], uint8_t* scratch, int warp, int lane) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t)
    *reinterpret_cast<float4*>(scratch + ((warp * Tiles + t) * 32 + lane) * 16) =
        make_float4(acc[t][0], acc[t][1], acc[t][2], acc[t][3]);
  sync_consumers();
}
template <int Tiles>
__device__ __forceinline__ float4 gather(const uint8_t* scratch, int tile, int lane) {
  float4 r = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int w = 0; w < 8; ++w) {
    float4 v = *reinterpret_cast<const float4*>(scratch + ((w * Tiles + tile) * 32 + lane) * 16);
    r.x += v.x, r.y += v.y, r.z += v.z, r.w += v.w;
  }
  return r;
}

}  // namespace pi05::expert
