// Attention of the persistent expert kernel. A cluster computes one query head: each of its 8 ranks projects 32 columns
// of the queries, sends them to all ranks, attends over its share of the keys and sends a partial output to the rank
// that combines those columns.
#pragma once

#include "backend/cuda/kernels/expert_projection.cuh"

namespace pi05::expert {

// A page's scores are summed in 16 steps of 16 columns. The keys of the first steps are loaded before the queries
// arrive.
constexpr int kKeysAhead = 4;
// The score of a key that does not exist. Finite: the difference of two must not be NaN.
constexpr float kMasked = -1e30f;

// Rotates the pairs of a tile. A lane has the same pair of two rows: lane / 4 in x and y, lane / 4 + 8 in z and w.
template <int OwnedTiles>
__device__ __forceinline__ float4 rotate_pairs(const Context<OwnedTiles>& ctx, float4 v, int tile) {
  const int row = ctx.lane >> 2, pair = tile * 4 + (ctx.lane & 3);
  const auto cos_sin = ctx.state.cos_sin[pair];
  const float c0 = cos_sin[row][0], s0 = cos_sin[row][1], c1 = cos_sin[row + 8][0], s1 = cos_sin[row + 8][1];
  return make_float4(v.x * c0 - v.y * s0, v.y * c0 + v.x * s0, v.z * c1 - v.w * s1, v.w * c1 + v.z * s1);
}
// Packs each value with the same value of the next lane, as bf16.
__device__ __forceinline__ uint4 pack_with_next_lane(float4 v) {
  return make_uint4(packed<bf16>(v.x, __shfl_down_sync(~0u, v.x, 1)), packed<bf16>(v.y, __shfl_down_sync(~0u, v.y, 1)),
                    packed<bf16>(v.z, __shfl_down_sync(~0u, v.z, 1)), packed<bf16>(v.w, __shfl_down_sync(~0u, v.w, 1)));
}

// Address of page i of the keys and values. Page 0 is the pipeline's current stage.
template <int OwnedTiles>
__device__ __forceinline__ uint32_t page_address(const Context<OwnedTiles>& ctx, const PipelineState& pipe, int i) {
  int stage = pipe.stage + i;
  return ctx.ring_address +
         (stage >= ctx.p.stages ? stage - ctx.p.stages : stage) * SharedLayout<OwnedTiles>::kStageBytes;
}

// After its part of the prefix, rank r attends to action rows 2 r and 2 r + 1, whose keys and values other clusters
// publish. The warp that scores the page of a row polls the row's key; value_warp polls the values. They are stored in
// the pages, behind those of the prefix.
template <int OwnedTiles>
struct ActionKeys {
  const int value_warp;
  uint4 fetched[2];

  __device__ __forceinline__ explicit ActionKeys(const Context<OwnedTiles>& ctx)
      : value_warp(((ctx.keys >> 4) + 2) & 7) {}
  __device__ __forceinline__ bool fetches(const Context<OwnedTiles>& ctx, int r) const {
    return ctx.warp == (ctx.keys + r) >> 4 || ctx.warp == value_warp;
  }
  __device__ __forceinline__ uint4 fetch(const Context<OwnedTiles>& ctx, const ExchangeBuffer& buffer, int r) const {
    return poll_v4(&buffer.kv[ctx.warp == value_warp][2 * ctx.rank + r][ctx.lane * 8]);
  }
  __device__ __forceinline__ void start(const Context<OwnedTiles>& ctx, const ExchangeBuffer& buffer) {
#pragma unroll
    for (int r = 0; r < 2; ++r)
      if (fetches(ctx, r)) fetched[r] = fetch(ctx, buffer, r);
  }
  __device__ __forceinline__ void finish(const Context<OwnedTiles>& ctx, const ExchangeBuffer& buffer,
                                         const PipelineState& pipe) {
#pragma unroll
    for (int r = 0; r < 2; ++r)
      if (fetches(ctx, r)) {
        while (is_empty(fetched[r])) fetched[r] = fetch(ctx, buffer, r);
        const int key = ctx.keys + r;
        ptx::st_shared_v4(page_address(ctx, pipe, key >> 4) + (ctx.warp == value_warp ? kHalfPageBytes : 0) +
                              (ctx.lane >> 3) * 2048 + (key & 15) * 128 + ((ctx.lane ^ key) & 7) * 16,
                          fetched[r]);
      }
    __syncwarp();
  }
};

// Reduces this rank's 32 query columns over the warps, rotates them and sends them to all ranks. Four warps; warp w has
// rows 2 w, 2 w + 1, 2 w + 8 and 2 w + 9. A lane has two of these rows, 8 apart, of one of the rank's 16 rotary pairs:
// columns 16 * rank + pair and 128 + 16 * rank + pair.
template <int OwnedTiles>
__device__ __forceinline__ void send_queries(const Context<OwnedTiles>& ctx) {
  constexpr int kTiles = WeightLayout<OwnedTiles>::kQueryTiles;
  const int lane = ctx.lane;
  if (ctx.warp >= kTiles) return;
  const int tile = lane >> 3, tile_lane = ctx.warp * 8 + (lane & 7), row = tile_lane >> 2, pair = tile * 4 + (lane & 3);
  const float4 v = reduce_partials<kTiles>(ctx.scratch, tile, tile_lane);
  const float2 rotation0 = *reinterpret_cast<const float2*>(ctx.state.cos_sin[pair][row]);
  const float2 rotation1 = *reinterpret_cast<const float2*>(ctx.state.cos_sin[pair][row + 8]);
  const uint32_t row_pair = packed<bf16>(v.x * rotation0.x - v.y * rotation0.y, v.y * rotation0.x + v.x * rotation0.y);
  const uint32_t row8_pair = packed<bf16>(v.z * rotation1.x - v.w * rotation1.y, v.w * rotation1.x + v.z * rotation1.y);
  // Transpose among 4 lanes. They have 4 pairs of rows `row` and row + 8; afterwards lanes 0 and 1 have row `row`,
  // lanes 2 and 3 row + 8, and the even lane has 4 columns of the head's first half, the odd lane of its second half.
  const bool second_row = lane & 2, odd_lane = lane & 1;
  const uint32_t kept_pair = second_row ? row8_pair : row_pair;
  const uint32_t received_pair = __shfl_xor_sync(~0u, second_row ? row_pair : row8_pair, 2);
  const uint32_t pair0 = second_row ? received_pair : kept_pair, pair1 = second_row ? kept_pair : received_pair;
  const uint32_t first_half = __byte_perm(pair0, pair1, 0x5410), second_half = __byte_perm(pair0, pair1, 0x7632);
  const uint32_t kept = odd_lane ? second_half : first_half;
  const uint32_t received = __shfl_xor_sync(~0u, odd_lane ? first_half : second_half, 1);
  const uint32_t even_columns = odd_lane ? received : kept, odd_columns = odd_lane ? kept : received;
  const uint2 columns4 =
      make_uint2(__byte_perm(even_columns, odd_columns, 0x5410), __byte_perm(even_columns, odd_columns, 0x7632));
  // The next 4 columns are in the neighbouring tile. Both lanes have all 8; one sends to ranks 0 to 3, the other to 4
  // to 7.
  const uint32_t other_x = __shfl_xor_sync(~0u, columns4.x, 8), other_y = __shfl_xor_sync(~0u, columns4.y, 8);
  const bool odd_tile = tile & 1;
  const uint4 columns8 = odd_tile ? make_uint4(other_x, other_y, columns4.x, columns4.y)
                                  : make_uint4(columns4.x, columns4.y, other_x, other_y);
  const uint32_t address = ctx.query_address + (row + (second_row ? 8 : 0)) * kQueryStride +
                           (lane & 1) * (kDim / 2 * 2) + ctx.rank * 32 + (tile >> 1) * 16;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int rank = (odd_tile ? 4 : 0) + i;
    ptx::st_async_v4(ptx::mapa(address, rank), columns8,
                     ptx::mapa(ptx::smem_address(&ctx.state.queries_arrived), rank));
  }
}

// Each warp scores one page of keys. It stores the row maxima of the page, and the probabilities unnormalised and
// relative to these maxima. Scores are exponents of 2, and maxima are rounded up to integers, so that rescaling
// probabilities later is exact. row_max: of rows lane / 4 and lane / 4 + 8.
template <int OwnedTiles>
__device__ __forceinline__ void score_page(const Context<OwnedTiles>& ctx, const PipelineState& pipe, uint32_t phase,
                                           float (&row_max)[2]) {
  const int warp = ctx.warp, lane = ctx.lane;
  uint32_t key[kKeysAhead][4];
  const uint32_t key_row = page_address(ctx, pipe, warp & 7) + ((lane >> 4) * 8 + (lane & 7)) * 128;
  const uint32_t chunk = (((lane >> 3) & 1) ^ (lane & 7)) * 16;
  if (warp < ctx.pages) {
#pragma unroll
    for (int b = 0; b < kKeysAhead; ++b) ptx::ldmatrix(key[b], key_row + (b >> 2) * 2048 + (chunk ^ (b & 3) * 32));
  }
  ptx::mbarrier_wait_cluster(ptx::smem_address(&ctx.state.queries_arrived), phase);
  row_max[0] = row_max[1] = kMasked;
  float* maxima = reinterpret_cast<float*>(ctx.scratch + kMaximaAt);
  if (warp < ctx.pages) {
    const int all_keys = ctx.keys + max(0, min(2, ctx.p.rows - 2 * ctx.rank));  // prefix and action rows
    const uint32_t query_row = ctx.query_address + (lane & 15) * kQueryStride + (lane >> 4) * 16;
    float score[2][2][4] = {};  // (8 keys, even or odd steps, mma accumulator): two chains per accumulator
#pragma unroll
    for (int b = 0; b < 16; ++b) {
      uint32_t q[4];
      ptx::ldmatrix(q, query_row + b * 32);
      ptx::mma<bf16>(score[0][b & 1], q, key[b % kKeysAhead][0], key[b % kKeysAhead][1]);
      ptx::mma<bf16>(score[1][b & 1], q, key[b % kKeysAhead][2], key[b % kKeysAhead][3]);
      if (b + kKeysAhead < 16)
        ptx::ldmatrix(key[b % kKeysAhead], key_row + ((b + kKeysAhead) >> 2) * 2048 + (chunk ^ (b & 3) * 32));
    }
#pragma unroll
    for (int t = 0; t < 2; ++t)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool valid = warp * kPage + t * 8 + 2 * (lane & 3) + (i & 1) < all_keys;
        // 0.0625: 1 / sqrt(kDim)
        score[t][0][i] = valid ? (score[t][0][i] + score[t][1][i]) * (0.0625f * kernels::kLog2E) : kMasked;
        row_max[i >> 1] = fmaxf(row_max[i >> 1], score[t][0][i]);
      }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      row_max[i] = fmaxf(row_max[i], __shfl_xor_sync(~0u, row_max[i], 1));
      row_max[i] = ceilf(fmaxf(row_max[i], __shfl_xor_sync(~0u, row_max[i], 2)));
    }
    uint32_t* probs =
        reinterpret_cast<uint32_t*>(ctx.scratch + kProbsAt + (lane >> 2) * kProbStride + warp * 32) + (lane & 3);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      probs[t * 4] = packed<bf16>(ptx::ex2_approx_ftz(score[t][0][0] - row_max[0]),
                                  ptx::ex2_approx_ftz(score[t][0][1] - row_max[0]));
      probs[8 * kProbStride / 4 + t * 4] = packed<bf16>(ptx::ex2_approx_ftz(score[t][0][2] - row_max[1]),
                                                        ptx::ex2_approx_ftz(score[t][0][3] - row_max[1]));
    }
  }
  if (!(lane & 3)) {
    maxima[(lane >> 2) * kMaximaStride + warp] = row_max[0];
    maxima[((lane >> 2) + 8) * kMaximaStride + warp] = row_max[1];
  }
}

// Two bf16 probabilities times 2^exponent.
__device__ __forceinline__ uint32_t rescale(uint32_t probs, float exponent) {
  const uint32_t power = packed<bf16>(ptx::ex2_approx_ftz(exponent), ptx::ex2_approx_ftz(exponent));
  const __nv_bfloat162 v =
      __hmul2(*reinterpret_cast<__nv_bfloat162*>(&probs), *reinterpret_cast<const __nv_bfloat162*>(&power));
  return *reinterpret_cast<const uint32_t*>(&v);
}

// out (16 rows, 32 value columns of this warp) = probabilities x values over all pages of this rank; out[4]: the sums
// of the probabilities. row_max becomes the maximum over the pages.
template <int OwnedTiles>
__device__ __forceinline__ void multiply_values(const Context<OwnedTiles>& ctx, const PipelineState& pipe,
                                                float (&out)[5][4], float (&row_max)[2]) {
  const int warp = ctx.warp, lane = ctx.lane;
  const float* maxima = reinterpret_cast<float*>(ctx.scratch + kMaximaAt) + (lane >> 2) * kMaximaStride;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float4* of_pages = reinterpret_cast<const float4*>(maxima + 8 * i * kMaximaStride);
    const float4 u = of_pages[0], v = of_pages[1];
    row_max[i] = fmaxf(fmaxf(fmaxf(u.x, u.y), fmaxf(u.z, u.w)), fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
  }
  constexpr uint32_t kOnes = 0x3f803f80u;  // two of bf16
#pragma unroll 4
  for (int i = 0; i < ctx.pages; ++i) {
    uint32_t probs[4], v0[4], v1[4];
    ptx::ldmatrix(probs, ctx.scratch_address + kProbsAt + (lane & 15) * kProbStride + i * 32 + (lane >> 4) * 16);
    const uint32_t value_row = page_address(ctx, pipe, i) + kHalfPageBytes + (warp >> 1) * 2048 + (lane & 15) * 128;
    const uint32_t swizzled = (((warp & 1) * 4 + (lane >> 4)) ^ (lane & 7)) * 16;
    ptx::ldmatrix_trans(v0, value_row + swizzled);
    ptx::ldmatrix_trans(v1, value_row + (swizzled ^ 32));
    const float exponent0 = maxima[i] - row_max[0], exponent1 = maxima[8 * kMaximaStride + i] - row_max[1];
    probs[0] = rescale(probs[0], exponent0), probs[2] = rescale(probs[2], exponent0);
    probs[1] = rescale(probs[1], exponent1), probs[3] = rescale(probs[3], exponent1);
    ptx::mma<bf16>(out[0], probs, v0[0], v0[1]);
    ptx::mma<bf16>(out[1], probs, v0[2], v0[3]);
    ptx::mma<bf16>(out[2], probs, v1[0], v1[1]);
    ptx::mma<bf16>(out[3], probs, v1[2], v1[3]);
    ptx::mma<bf16>(out[4], probs, kOnes, kOnes);
  }
}

// Sends this warp's 32 columns of the output, normalised and as fp16, to rank `warp`, which combines them. With them go
// the maximum and the sum of each row.
template <int OwnedTiles>
__device__ __forceinline__ void send_output(const Context<OwnedTiles>& ctx, const float (&out)[5][4],
                                            const float (&row_max)[2]) {
  const uint32_t bar = ptx::mapa(ptx::smem_address(&ctx.state.outputs_arrived), ctx.warp);
  const float low = __fdividef(1.f, out[4][0]), high = __fdividef(1.f, out[4][2]);
  const uint32_t columns = ptx::mapa(ctx.scratch_address + ctx.rank * kRankOutputBytes + ctx.lane * 16, ctx.warp);
#pragma unroll
  for (int t = 0; t < 4; t += 2)
    ptx::st_async_v4(
        columns + t * 256,
        make_uint4(packed<fp16>(out[t][0] * low, out[t][1] * low), packed<fp16>(out[t][2] * high, out[t][3] * high),
                   packed<fp16>(out[t + 1][0] * low, out[t + 1][1] * low),
                   packed<fp16>(out[t + 1][2] * high, out[t + 1][3] * high)),
        bar);
  if (!(ctx.lane & 3)) {
    const uint32_t stats =
        ptx::mapa(ctx.scratch_address + kStatsAt + ctx.rank * kRankStatsBytes + (ctx.lane >> 2) * 8, ctx.warp);
    ptx::st_async_v2(stats, row_max[0], out[4][0], bar);
    ptx::st_async_v2(stats + 64, row_max[1], out[4][2], bar);
  }
}

// Combines the 8 ranks' partial outputs of 32 columns and publishes the result: two adjacent columns per thread.
template <int OwnedTiles>
__device__ __forceinline__ void combine_outputs(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer) {
  const int thread = ctx.thread;
  const int row = ((thread >> 3) & 7) + 8 * (thread & 1), column = (thread >> 6) * 8 + 2 * ((thread >> 1) & 3);
  float2 stats[8];  // maximum and sum of each rank
  float row_max = kMasked, sum = 0.f, u = 0.f, v = 0.f;
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    stats[r] = *reinterpret_cast<const float2*>(ctx.scratch + kStatsAt + r * kRankStatsBytes + row * 8);
    row_max = fmaxf(row_max, stats[r].x);
  }
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const float2 partial = __half22float2(
        *reinterpret_cast<const __half2*>(ctx.scratch + r * kRankOutputBytes + (thread >> 7) * 512 +
                                          ((thread >> 1) & 31) * 16 + ((thread >> 6) & 1) * 8 + (thread & 1) * 4));
    const float weight = ptx::ex2_approx_ftz(stats[r].x - row_max) * stats[r].y;
    sum += weight, u += weight * partial.x, v += weight * partial.y;
  }
  const float scale = __fdividef(1.f, sum);
  publish(&buffer.attention[fragment_offset(row, ctx.cluster * kDim + ctx.rank * 32 + column)],
          packed<bf16>(u * scale, v * scale));
}

// Attention of this cluster's head. The split-K partials of the queries are in the scratch area; the next stages of the
// pipeline are the pages of keys and values. phase: parity of the mbarriers queries_arrived and outputs_arrived.
template <int OwnedTiles>
__device__ __forceinline__ void attention(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer, PipelineState& pipe,
                                          uint32_t& phase) {
  PipelineState page = pipe;
  for (int i = 0; i < ctx.pages; ++i) {
    ptx::mbarrier_wait(ptx::smem_address(&ctx.state.full[page.stage]), page.parity);
    page.advance(ctx.p.stages);
  }
  ActionKeys<OwnedTiles> action_keys(ctx);
  action_keys.start(ctx, buffer);
  send_queries(ctx);
  action_keys.finish(ctx, buffer, pipe);
  float row_max[2], out[5][4] = {};
  score_page(ctx, pipe, phase, row_max);
  sync_consumers();
  multiply_values(ctx, pipe, out, row_max);
  send_output(ctx, out, row_max);
  // Orders this warp's writes to the pages (ActionKeys) before the next writes of TMA.
  if (ctx.lane == 0) ptx::fence_proxy_async_shared();
  __syncwarp();
  for (int i = 0; i < ctx.pages; ++i) {
    if (ctx.lane == 0) ptx::mbarrier_arrive(ptx::smem_address(&ctx.state.empty[pipe.stage]));
    pipe.advance(ctx.p.stages);
  }
  ptx::mbarrier_wait_cluster(ptx::smem_address(&ctx.state.outputs_arrived), phase);
  phase ^= 1;
  if (ctx.thread == 0) {
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&ctx.state.queries_arrived), kQueryBytes);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&ctx.state.outputs_arrived), kOutputBytes);
  }
  combine_outputs(ctx, buffer);
  sync_consumers();
}

}  // namespace pi05::expert
