// The producer warp of the persistent expert kernel: streams weights, and pages of the prefix's keys and values,
// through the ring of pipeline stages. It never waits for activations, so that memory stays busy while blocks wait for
// each other.
#pragma once

#include "backend/cuda/kernels/expert_context.cuh"

namespace pi05::expert {

template <int T>
__device__ __forceinline__ void produce(const Context<T>& c) {
  using W = WeightLayout<T>;
  using L = SharedLayout<T>;
  const KernelParams& p = c.p;
  SharedState& s = c.s;
  const uint64_t stream_policy = ptx::createpolicy_evict_first(), keep_policy = ptx::createpolicy_evict_last();
  PipelineState pipe, landed;
  pipe.parity = 1;  // in the first round all stages are free
  int in_flight = 0;
  // Waits for a free stage, and for the oldest load where p.inflight are under way. Returns the stage.
  auto acquire = [&](uint32_t bytes) {
    if (in_flight == p.inflight) {
      ptx::mbarrier_wait(ptx::smem_address(&s.full[landed.stage]), landed.parity);
      landed.advance(p.stages);
    } else {
      ++in_flight;
    }
    const uint32_t stage = pipe.stage;
    ptx::mbarrier_wait(ptx::smem_address(&s.empty[stage]), pipe.parity);
    pipe.advance(p.stages);
    if (c.lane == 0) ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.full[stage]), bytes);
    __syncwarp();
    return stage;
  };
  for (int step = 0; step < p.steps; ++step)
    for (int layer = 0; layer < p.layers; ++layer) {
      const uint8_t* src = p.weights + (size_t(layer) * c.blocks + c.block) * W::kLayerBytes;
      auto load_chunks = [&](int count, uint32_t bytes) {
        for (int i = 0; i < count; ++i, src += bytes) {
          const uint32_t stage = acquire(bytes);
          if (c.lane == 0)
            ptx::cp_async_bulk_g2s(c.ring_address + stage * L::kStage, src, bytes, ptx::smem_address(&s.full[stage]),
                                   stream_policy);
        }
      };
      load_chunks(c.has_head ? W::kQueryChunks : W::kKvChunks, W::kWideBytes);
      if (c.has_head)
        for (int page = 0; page < c.pages; ++page) {
          const uint32_t stage = acquire(kPageBytes);
          if (c.lane == 0) {
            const uint32_t to = c.ring_address + stage * L::kStage, bar = ptx::smem_address(&s.full[stage]);
            ptx::tma_load_4d(to, &p.keys, 0, c.first_key + page * kPage, 0, layer, bar, keep_policy);
            ptx::tma_load_4d(to + kHalfPage, &p.values, 0, c.first_key + page * kPage, 0, layer, bar, keep_policy);
          }
        }
      load_chunks(W::kOutChunks, W::kSplitBytes);
      load_chunks(W::kUpChunks, W::kWideBytes);
      load_chunks(W::kDownChunks, W::kSplitBytes);
    }
}

}  // namespace pi05::expert
