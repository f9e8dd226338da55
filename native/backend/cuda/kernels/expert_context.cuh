// The arguments that all parts of the persistent expert kernel share: parameters, shared memory, and the indices of the
// thread, its block and its cluster.
#pragma once

#include "backend/cuda/kernels/expert_layout.cuh"

namespace pi05::expert {

template <int OwnedTiles>
struct Context {
  const KernelParams& p;
  // Shared memory, see SharedLayout.
  uint8_t* scratch;
  float* modulation;         // (2, 1024) scale and shift of the next norm
  float* frozen_modulation;  // the same for frozen rows
  float* rank_partials;      // (owned tile slots, 8 ranks, 128) split-K partials, in the order of an mma fragment
  SharedState& state;
  uint32_t ring_address, scratch_address, query_address;
  int thread, warp, lane;
  int block, rank, cluster, clusters, blocks;  // rank: of the block in its cluster
  bool has_head;                               // computes a query head, otherwise keys and values
  int kv_block, kv_blocks;                     // index and number of the blocks that compute keys and values
  int first_key, keys;                         // this rank's part of the prefix
  int pages;                                   // for these keys and two action rows after them
  int own_slots;                               // owned tiles of residual columns: slots rank and rank + 8

  __device__ __forceinline__ Context(const KernelParams& params, uint8_t* smem)
      : p(params),
        scratch(smem),
        modulation(reinterpret_cast<float*>(smem + SharedLayout<OwnedTiles>::kModulationAt)),
        frozen_modulation(reinterpret_cast<float*>(smem + SharedLayout<OwnedTiles>::kFrozenModulationAt)),
        rank_partials(reinterpret_cast<float*>(smem + SharedLayout<OwnedTiles>::kRankPartialsAt)),
        state(*reinterpret_cast<SharedState*>(smem + SharedLayout<OwnedTiles>::kStateAt)) {
    ring_address = ptx::smem_address(smem + params.ring_at), scratch_address = ptx::smem_address(smem);
    query_address = ptx::smem_address(smem + SharedLayout<OwnedTiles>::kQueriesAt);
    thread = threadIdx.x, warp = thread >> 5, lane = thread & 31;
    block = blockIdx.x, rank = block & 7, cluster = block >> 3, clusters = p.clusters, blocks = clusters * 8;
    has_head = cluster < kHeads;
    kv_block = block - kHeadBlocks, kv_blocks = blocks - kHeadBlocks;
    const int rank_keys = (p.prefix_tokens + 7) / 8;
    first_key = min(rank * rank_keys, p.prefix_tokens), keys = min(rank_keys, p.prefix_tokens - first_key);
    pages = (rank_keys + 2 + kPage - 1) / kPage;
    own_slots = (OwnedTiles - 1 - rank) / 8 + 1;
  }
};

// All 8 consumer warps.
__device__ __forceinline__ void sync_consumers() { ptx::bar_sync<1, kConsumers>(); }

// The two bf16 values of a word.
__device__ __forceinline__ float low_half(uint32_t v) { return __uint_as_float(v << 16); }
__device__ __forceinline__ float high_half(uint32_t v) { return __uint_as_float(v & 0xffff0000u); }

// Position in the ring of pipeline stages.
struct PipelineState {
  uint32_t stage = 0, parity = 0;
  __device__ __forceinline__ void advance(int stages) {
    if (++stage == (uint32_t)stages) stage = 0, parity ^= 1;
  }
};

}  // namespace pi05::expert
