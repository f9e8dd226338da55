// What every part of the persistent expert kernel knows: its thread, the place of its block in the grid, shared memory.
#pragma once

#include "backend/cuda/kernels/expert_layout.cuh"

namespace pi05::expert {

template <int T>
struct Context {
  const KernelParams& p;
  // Shared memory, see SharedLayout.
  uint8_t* scratch;
  float* mod;
  float* recv;
  SharedState& s;
  uint32_t ring_address, scratch_address, query_address;
  int thread, warp, lane;
  int block, rank, cluster, clusters, blocks;  // rank: of the block in its cluster
  bool has_head;                               // computes a query head, otherwise keys and values
  int kv_block, kv_blocks;                     // index and number of the blocks that compute keys and values
  int first_key, keys;                         // of the prefix, this rank's part
  int pages;                                   // of these keys and two action rows after them
  int own_slots;                               // owned tiles of residual columns: slots rank and rank + 8

  __device__ __forceinline__ Context(const KernelParams& params, uint8_t* smem)
      : p(params),
        scratch(smem),
        mod(reinterpret_cast<float*>(smem + SharedLayout<T>::kMod)),
        recv(reinterpret_cast<float*>(smem + SharedLayout<T>::kRecv)),
        s(*reinterpret_cast<SharedState*>(smem + SharedLayout<T>::kState)) {
    ring_address = ptx::smem_address(smem + SharedLayout<T>::kRing), scratch_address = ptx::smem_address(smem);
    query_address = ptx::smem_address(smem + SharedLayout<T>::kQuery);
    thread = threadIdx.x, warp = thread >> 5, lane = thread & 31;
    block = blockIdx.x, rank = block & 7, cluster = block >> 3, clusters = p.clusters, blocks = clusters * 8;
    has_head = cluster < kHeads;
    kv_block = block - 64, kv_blocks = blocks - 64;
    const int per = (p.prefix + 7) / 8;
    first_key = min(rank * per, p.prefix), keys = min(per, p.prefix - first_key);
    pages = (per + 2 + kPage - 1) / kPage;
    own_slots = (T - 1 - rank) / 8 + 1;
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
