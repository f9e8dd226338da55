// Projections of the persistent expert kernel: 16 rows of activations in registers times weights from the pipeline.
#pragma once

#include "backend/cuda/kernels/expert_exchange.cuh"

namespace pi05::expert {

// Loads this warp's tiles of the next chunk and releases the stage.
template <int Tiles, int OwnedTiles>
__device__ __forceinline__ void load_chunk(uint4 (&tiles)[Tiles], const Context<OwnedTiles>& ctx, PipelineState& pipe) {
  const int stages = ctx.p.stages;
  ptx::mbarrier_wait(ptx::smem_address(&ctx.state.full[pipe.stage]), pipe.parity);
  const uint32_t chunk =
      ctx.ring_address + pipe.stage * SharedLayout<OwnedTiles>::kStageBytes + ctx.warp * (Tiles * 512) + ctx.lane * 16;
#pragma unroll
  for (int i = 0; i < Tiles; ++i) tiles[i] = ptx::ld_shared_v4(chunk + i * 512);
  __syncwarp();
  if (ctx.lane == 0) ptx::mbarrier_arrive(ptx::smem_address(&ctx.state.empty[pipe.stage]));
  pipe.advance(stages);
}

// acc (16 rows x Tiles * 8 outputs) = activations x weights over this warp's slice of the inputs. weights: the first
// Depth chunks, which the caller loads before it waits for the activations.
template <int Tiles, int Blocks, int ChunkTiles, int Depth, int OwnedTiles>
__device__ __forceinline__ void gemm(float (&acc)[Tiles][4], const Fragments<Blocks>& a,
                                     uint4 (&weights)[Depth][ChunkTiles], const Context<OwnedTiles>& ctx,
                                     PipelineState& pipe) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t) acc[t][0] = acc[t][1] = acc[t][2] = acc[t][3] = 0.f;
  constexpr int kChunks = Tiles * Blocks / ChunkTiles;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    uint4(&tiles)[ChunkTiles] = weights[chunk % Depth];
#pragma unroll
    for (int i = 0; i < ChunkTiles; ++i) {
      const int t = (chunk * ChunkTiles + i) % Tiles, b = (chunk * ChunkTiles + i) / Tiles;
      ptx::mma<bf16>(acc[t], {a.low[b].x, a.high[b].x, a.low[b].y, a.high[b].y}, tiles[i].x, tiles[i].y);
    }
#pragma unroll
    for (int i = 0; i < ChunkTiles; ++i) {
      const int t = (chunk * ChunkTiles + i) % Tiles, b = (chunk * ChunkTiles + i) / Tiles;
      ptx::mma<bf16>(acc[t], {a.low[b].z, a.high[b].z, a.low[b].w, a.high[b].w}, tiles[i].z, tiles[i].w);
    }
    if (chunk + Depth < kChunks) load_chunk(tiles, ctx, pipe);
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
  float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int w = 0; w < 8; ++w) {
    float4 v = *reinterpret_cast<const float4*>(scratch + ((w * Tiles + tile) * 32 + lane) * 16);
    sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
  }
  return sum;
}

}  // namespace pi05::expert
