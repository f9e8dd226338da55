// The residual stream of the persistent expert kernel: each consumer thread keeps one element in a register, in fp32.
#pragma once

#include "backend/cuda/kernels/expert_norm.cuh"
#include "backend/cuda/kernels/expert_projection.cuh"

namespace pi05::expert {

// A block owns the tiles (8 columns) of its cluster in slots rank (threads below 128) and rank + 8 (the others).
template <int OwnedTiles>
struct Residual {
  int element;     // index in the tile, in the order of an mma fragment
  int slot, tile;  // of the cluster's tiles, of all tiles
  bool owner;      // false: this thread has no element
  int row, column;
  bool frozen;  // the row
  float value = 0.f;
  uint32_t phase = 0;  // parity of the mbarrier partials_arrived

  __device__ __forceinline__ Residual(const Context<OwnedTiles>& ctx, bool frozen_rows) {
    element = ctx.thread & 127, slot = ctx.rank + (ctx.thread >> 7) * 8;
    tile = ctx.cluster + slot * ctx.clusters;
    owner = slot < OwnedTiles && tile < kResidualTiles;
    row = (element >> 4) + 8 * ((element >> 1) & 1);
    column = tile * 8 + 2 * ((element >> 2) & 3) + (element & 1);
    frozen = frozen_rows && is_frozen(ctx.p, row);
  }

  __device__ __forceinline__ float gate(const Context<OwnedTiles>& ctx, int step, int index) const {
    return owner ? modulation_at(ctx, frozen ? ctx.p.steps : step, index)[2 * kWidth + column] : 0.f;
  }

  __device__ __forceinline__ void publish(const Context<OwnedTiles>& ctx, __nv_bfloat16* residual) const {
    const float other = __shfl_xor_sync(~0u, value, 1);
    if (owner && !(ctx.thread & 1))
      expert::publish(&residual[fragment_offset(row, column)], packed<bf16>(value, other));
  }

  // Adds gate * acc, summed over warps and ranks (split-K), to the residual and publishes it.
  __device__ __forceinline__ void add(const Context<OwnedTiles>& ctx, float (&acc)[OwnedTiles][4], float gate,
                                      __nv_bfloat16* residual) {
    store_partials<OwnedTiles>(acc, ctx.scratch, ctx.warp, ctx.lane);
#pragma unroll
    for (int t = 0; t < (OwnedTiles + 7) / 8; ++t) {
      const int tile = t * 8 + ctx.warp;
      if (tile < OwnedTiles) {
        const float4 v = reduce_partials<OwnedTiles>(ctx.scratch, tile, ctx.lane);
        ptx::st_async_v4(
            ptx::mapa(ptx::smem_address(ctx.rank_partials + t * 1024 + ctx.rank * 128 + ctx.lane * 4), ctx.warp),
            make_uint4(__float_as_uint(v.x), __float_as_uint(v.y), __float_as_uint(v.z), __float_as_uint(v.w)),
            ptx::mapa(ptx::smem_address(&ctx.state.partials_arrived), ctx.warp));
      }
    }
    ptx::mbarrier_wait_cluster(ptx::smem_address(&ctx.state.partials_arrived), phase);
    phase ^= 1;
    if (slot < OwnedTiles) {
      float sum = 0.f;
#pragma unroll
      for (int r = 0; r < 8; ++r) sum += ctx.rank_partials[(ctx.thread >> 7) * 1024 + r * 128 + element];
      value += gate * sum;
    }
    publish(ctx, residual);
    if (ctx.thread == 0)
      ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&ctx.state.partials_arrived), ctx.own_slots * kSlotBytes);
  }

  // residual = action_in(x of the flow)
  __device__ __forceinline__ void embed(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer) {
    if (owner) {
      float sum = ctx.p.action_in_bias[column];
#pragma unroll
      for (int i = 0; i < kActionDim; ++i) sum += ctx.state.x[row][i] * ctx.p.action_in[column * kActionDim + i];
      value = sum;
    }
    publish(ctx, buffer.residual[kStepStart]);
  }

  // Empties the words that this block has published in `buffer`. Each range of threads clears one field.
  __device__ __forceinline__ void clear(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer) const {
    if (owner && (ctx.thread & 127) < 48)
      clear_v4(&buffer.residual[element >> 4][fragment_offset(element & 15, tile * 8)]);
    if (ctx.has_head && ctx.thread >= 48 && ctx.thread < 112) {
      const int i = ctx.thread - 48;
      clear_v4(&buffer.attention[(ctx.cluster * kDim + ctx.rank * 32) * kRows + i * 8]);
    }
    if (!ctx.has_head && ctx.thread >= 176) {
      // 64 of 80 threads: 16 rows x 2 halves of the head x up to 2 tiles.
      const int i = (ctx.thread - 176), kv_tile = ctx.kv_block + (i >> 5) * ctx.kv_blocks;
      if (i < 64 && kv_tile < kKvTiles)
        clear_v2(&buffer.kv[kv_tile >> 5][i & 15][(kv_tile & 31) * 4 + ((i >> 4) & 1) * 128]);
    }
    if (ctx.block < 2 * kActionDim && ctx.thread >= 112 && ctx.thread < 120)
      expert::publish(&buffer.velocity[(ctx.block >> 5) * 8 + ctx.thread - 112][ctx.block & 31], kEmpty);
    for (int i = ctx.thread; i < OwnedTiles * kRows; i += kConsumers) {
      const int unit = ctx.block + (i >> 4) * ctx.blocks;
      if (unit < kMlpTiles) clear_v2(&buffer.hidden[fragment_offset(i & 15, unit * 4)]);
    }
  }
};

}  // namespace pi05::expert
