// The residual stream of the persistent expert kernel: each consumer thread keeps one element in a register, in fp32.
#pragma once

#include "backend/cuda/kernels/expert_norm.cuh"
#include "backend/cuda/kernels/expert_projection.cuh"

namespace pi05::expert {

// A block owns the tiles (8 columns) of its cluster in slots rank (threads below 128) and rank + 8 (the others).
template <int T>
struct Residual {
  int fragment, slot, tile;
  bool owner;  // otherwise this thread has no element
  int row, column;
  float value = 0.f;
  uint32_t phase = 0;  // of the mbarrier recv_c

  __device__ __forceinline__ explicit Residual(const Context<T>& c) {
    fragment = c.thread & 127, slot = c.rank + (c.thread >> 7) * 8;
    tile = c.cluster + slot * c.clusters;
    owner = slot < T && tile < 128;
    // In the order of an mma fragment.
    row = (fragment >> 4) + 8 * ((fragment >> 1) & 1);
    column = tile * 8 + 2 * ((fragment >> 2) & 3) + (fragment & 1);
  }

  __device__ __forceinline__ float gate(const Context<T>& c, int step, int index) const {
    return owner ? modulation_at(c, step, index)[2 * kWidth + column] : 0.f;
  }

  __device__ __forceinline__ void publish(const Context<T>& c, __nv_bfloat16* x) const {
    const float other = __shfl_xor_sync(~0u, value, 1);
    if (owner && !(c.thread & 1)) expert::publish(&x[fragment_offset(row, column)], packed<bf16>(value, other));
  }

  // residual += gate * (split-K product summed over warps and ranks), then publishes it in x.
  __device__ __forceinline__ void add(const Context<T>& c, float (&acc)[T][4], float gate, __nv_bfloat16* x) {
    store_partials<T>(acc, c.scratch, c.warp, c.lane);
#pragma unroll
    for (int t = 0; t < (T + 7) / 8; ++t) {
      const int tile = t * 8 + c.warp;
      if (tile < T) {
        const float4 v = reduce_partials<T>(c.scratch, tile, c.lane);
        ptx::st_async_v4(
            ptx::mapa(ptx::smem_address(c.recv + t * 1024 + c.rank * 128 + c.lane * 4), c.warp),
            make_uint4(__float_as_uint(v.x), __float_as_uint(v.y), __float_as_uint(v.z), __float_as_uint(v.w)),
            ptx::mapa(ptx::smem_address(&c.s.recv_c), c.warp));
      }
    }
    ptx::mbarrier_wait_cluster(ptx::smem_address(&c.s.recv_c), phase);
    phase ^= 1;
    if (slot < T) {
      float sum = 0.f;
#pragma unroll
      for (int r = 0; r < 8; ++r) sum += c.recv[(c.thread >> 7) * 1024 + r * 128 + fragment];
      value += gate * sum;
    }
    publish(c, x);
    if (c.thread == 0) ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&c.s.recv_c), c.own_slots * 4096);
  }

  // residual = action_in(xt)
  __device__ __forceinline__ void embed(const Context<T>& c, ExchangeBuffer& buffer) {
    if (owner) {
      float sum = c.p.in_b[column];
#pragma unroll
      for (int i = 0; i < kActionDim; ++i) sum += c.s.xt[row][i] * c.p.in_w[column * kActionDim + i];
      value = sum;
    }
    publish(c, buffer.x[2]);
  }

  // Empties what this block has published in one buffer.
  __device__ __forceinline__ void clear(const Context<T>& c, ExchangeBuffer& buffer) const {
    if (owner && (c.thread & 127) < 48) clear_v4(&buffer.x[fragment >> 4][fragment_offset(fragment & 15, tile * 8)]);
    if (c.has_head && c.thread >= 48 && c.thread < 112) {
      const int i = c.thread - 48;
      clear_v4(&buffer.att[(c.cluster * kDim + c.rank * 32) * kRows + i * 8]);
    }
    if (!c.has_head && c.thread >= 176) {
      // 64 of 80 threads: rows x halves of up to two tiles
      const int i = (c.thread - 176), kv_tile = c.kv_block + (i >> 5) * c.kv_blocks;
      if (i < 64 && kv_tile < kKvTiles)
        clear_v2(&buffer.kv[kv_tile >> 5][i & 15][(kv_tile & 31) * 4 + ((i >> 4) & 1) * 128]);
    }
    if (c.block < 64 && c.thread >= 112 && c.thread < 120)
      expert::publish(&buffer.v[(c.block >> 5) * 8 + c.thread - 112][c.block & 31], kEmpty);
    for (int i = c.thread; i < T * kRows; i += kConsumers) {
      const int unit = c.block + (i >> 4) * c.blocks;
      if (unit < 1024) clear_v2(&buffer.h[fragment_offset(i & 15, unit * 4)]);
    }
  }
};

}  // namespace pi05::expert
