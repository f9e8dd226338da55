// Projections of the persistent expert kernel: 16 rows of activations in registers times weights from the pipeline.
#pragma once

#include "backend/cuda/kernels/expert_exchange.cuh"

namespace pi05::expert {

// Loads this warp's tiles of the next chunk and releases the stage.
template <int Tiles, int T>
__device__ __forceinline__ void load_chunk(uint4 (&to)[Tiles], const Context<T>& c, PipelineState& pipe) {
  const int stages = c.p.stages;
  ptx::mbarrier_wait(ptx::smem_address(&c.s.full[pipe.stage]), pipe.parity);
  const uint32_t from = c.ring_address + pipe.stage * SharedLayout<T>::kStage + c.warp * (Tiles * 512) + c.lane * 16;
#pragma unroll
  for (int i = 0; i < Tiles; ++i) to[i] = ptx::ld_shared_v4(from + i * 512);
  __syncwarp();
  if (c.lane == 0) ptx::mbarrier_arrive(ptx::smem_address(&c.s.empty[pipe.stage]));
  pipe.advance(stages);
}

// acc (16 rows x Tiles * 8 outputs) = activations x weights over this warp's slice of the inputs. w: the first Depth
// chunks, loaded before the activations were there.
template <int Tiles, int Blocks, int ChunkTiles, int Depth, int T>
__device__ __forceinline__ void gemm(float (&acc)[Tiles][4], const Fragments<Blocks>& a, uint4 (&w)[Depth][ChunkTiles],
                                     const Context<T>& c, PipelineState& pipe) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t) acc[t][0] = acc[t][1] = acc[t][2] = acc[t][3] = 0.f;
  constexpr int kChunks = Tiles * Blocks / ChunkTiles;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    uint4(&now)[ChunkTiles] = w[chunk % Depth];
#pragma unroll
    for (int i = 0; i < ChunkTiles; ++i) {
      const int t = (chunk * ChunkTiles + i) % Tiles, b = (chunk * ChunkTiles + i) / Tiles;
      ptx::mma<bf16>(acc[t], {a.low[b].x, a.high[b].x, a.low[b].y, a.high[b].y}, now[i].x, now[i].y);
    }
#pragma unroll
    for (int i = 0; i < ChunkTiles; ++i) {
      const int t = (chunk * ChunkTiles + i) % Tiles, b = (chunk * ChunkTiles + i) / Tiles;
      ptx::mma<bf16>(acc[t], {a.low[b].z, a.high[b].z, a.low[b].w, a.high[b].w}, now[i].z, now[i].w);
    }
    if (chunk + Depth < kChunks) load_chunk(now, c, pipe);
  }
}

// Stores this warp's partial tiles to the scratch area and synchronises the consumers. The caller makes sure that the
// previous reduce_partials() of all warps is done.
template <int Tiles>
__device__ __forceinline__ void store_partials(const float (&acc)[Tiles][4], uint8_t* scratch, int warp, int lane) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t)
    *reinterpret_cast<float4*>(scratch + ((warp * Tiles + t) * 32 + lane) * 16) =
        make_float4(acc[t][0], acc[t][1], acc[t][2], acc[t][3]);
  sync_consumers();
}
// The sum of a tile over the 8 warps.
template <int Tiles>
__device__ __forceinline__ float4 reduce_partials(const uint8_t* scratch, int tile, int lane) {
  float4 r = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int w = 0; w < 8; ++w) {
    float4 v = *reinterpret_cast<const float4*>(scratch + ((w * Tiles + tile) * 32 + lane) * 16);
    r.x += v.x, r.y += v.y, r.z += v.z, r.w += v.w;
  }
  return r;
}

}  // namespace pi05::expert
