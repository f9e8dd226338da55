// The producer warp of the persistent expert kernel: streams weights, and pages of the prefix's keys and values,
// through the ring of pipeline stages. It never waits for activations, so the GPU keeps reading memory while blocks
// wait for each other.
#pragma once

#include "backend/cuda/kernels/expert_context.cuh"

namespace pi05::expert {

template <int OwnedTiles>
__device__ __forceinline__ void produce(const Context<OwnedTiles>& ctx) {
  using W = WeightLayout<OwnedTiles>;
  const KernelParams& p = ctx.p;
  SharedState& state = ctx.state;
  const uint64_t stream_policy = ptx::createpolicy_evict_first(), keep_policy = ptx::createpolicy_evict_last();
  PipelineState pipe, oldest;  // next stage to load, oldest load under way
  pipe.parity = 1;             // in the first round all stages are free
  int loads = 0;
  // Waits until fewer than p.max_loads loads are under way and the next stage is free. Returns the stage.
  auto acquire = [&](uint32_t bytes) {
    if (loads == p.max_loads) {
      ptx::mbarrier_wait(ptx::smem_address(&state.full[oldest.stage]), oldest.parity);
      oldest.advance(p.stages);
    } else {
      ++loads;
    }
    const uint32_t stage = pipe.stage;
    ptx::mbarrier_wait(ptx::smem_address(&state.empty[stage]), pipe.parity);
    pipe.advance(p.stages);
    if (ctx.lane == 0) ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&state.full[stage]), bytes);
    __syncwarp();
    return stage;
  };
  for (int step = 0; step < p.steps; ++step)
    for (int layer = 0; layer < p.layers; ++layer) {
      const uint8_t* chunk = p.weights + (size_t(layer) * ctx.blocks + ctx.block) * W::kLayerBytes;
      auto load_chunks = [&](int count, uint32_t bytes) {
        for (int i = 0; i < count; ++i, chunk += bytes) {
          const uint32_t stage = acquire(bytes);
          if (ctx.lane == 0)
            ptx::cp_async_bulk_g2s(ctx.ring_address + stage * SharedLayout<OwnedTiles>::kStageBytes, chunk, bytes,
                                   ptx::smem_address(&state.full[stage]), stream_policy);
        }
      };
      load_chunks(ctx.has_head ? W::kQueryChunks : W::kKvChunks, W::kWideBytes);
      if (ctx.has_head)
        for (int page = 0; page < ctx.pages; ++page) {
          const uint32_t stage = acquire(kPageBytes);
          if (ctx.lane == 0) {
            const uint32_t page_stage = ctx.ring_address + stage * SharedLayout<OwnedTiles>::kStageBytes,
                           bar = ptx::smem_address(&state.full[stage]);
            ptx::tma_load_4d(page_stage, &p.keys, 0, ctx.first_key + page * kPage, 0, layer, bar, keep_policy);
            ptx::tma_load_4d(page_stage + kHalfPageBytes, &p.values, 0, ctx.first_key + page * kPage, 0, layer, bar,
                             keep_policy);
          }
        }
      load_chunks(W::kOutChunks, W::kSplitBytes);
      load_chunks(W::kUpChunks, W::kWideBytes);
      load_chunks(W::kDownChunks, W::kSplitBytes);
    }
}

}  // namespace pi05::expert
