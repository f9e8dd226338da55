// Attention of the persistent expert kernel. A cluster computes one query head: each of its 8 ranks projects 32 columns
// of the queries, sends them to all ranks, attends over its share of the keys and sends a partial output to the rank
// that combines those columns.
#pragma once

#include "backend/cuda/kernels/expert_projection.cuh"

namespace pi05::expert {

constexpr int kKeysAhead = 4;  // of the 16 column steps of a page's scores, loaded before the queries are there

// Rotates the pairs of a tile; a lane holds pairs (row, t) and (row + 8, t).
template <int T>
__device__ __forceinline__ float4 rotate_pairs(const Context<T>& c, float4 r, int tile) {
  const int row = c.lane >> 2, pair = tile * 4 + (c.lane & 3);
  const float c0 = c.s.rope[pair][row][0], s0 = c.s.rope[pair][row][1], c1 = c.s.rope[pair][row + 8][0],
              s1 = c.s.rope[pair][row + 8][1];
  return make_float4(r.x * c0 - r.y * s0, r.y * c0 + r.x * s0, r.z * c1 - r.w * s1, r.w * c1 + r.z * s1);
}
// Each value with the one of the next lane, as bf16.
__device__ __forceinline__ uint4 pack_with_next_lane(float4 o) {
  return make_uint4(packed<bf16>(o.x, __shfl_down_sync(~0u, o.x, 1)), packed<bf16>(o.y, __shfl_down_sync(~0u, o.y, 1)),
                    packed<bf16>(o.z, __shfl_down_sync(~0u, o.z, 1)), packed<bf16>(o.w, __shfl_down_sync(~0u, o.w, 1)));
}

// Page i of the keys and values, which begin at the pipeline's current stage.
template <int T>
__device__ __forceinline__ uint32_t page_address(const Context<T>& c, const PipelineState& pipe, int i) {
  int stage = pipe.stage + i;
  return c.ring_address + (stage >= c.p.stages ? stage - c.p.stages : stage) * SharedLayout<T>::kStage;
}

// The last two keys of rank r are those of action rows 2 r and 2 r + 1, which other clusters publish. One warp fetches
// the keys, another (value_warp) the values, and stores them behind the prefix's in the last page.
template <int T>
struct ActionKeys {
  const int value_warp;
  uint4 fetched[2];

  __device__ __forceinline__ explicit ActionKeys(const Context<T>& c) : value_warp(((c.keys >> 4) + 2) & 7) {}
  __device__ __forceinline__ bool fetches(const Context<T>& c, int r) const {
    return c.warp == (c.keys + r) >> 4 || c.warp == value_warp;
  }
  __device__ __forceinline__ uint4 fetch(const Context<T>& c, const ExchangeBuffer& now, int r) const {
    return poll_v4(&now.kv[c.warp == value_warp][2 * c.rank + r][c.lane * 8]);
  }
  __device__ __forceinline__ void start(const Context<T>& c, const ExchangeBuffer& now) {
#pragma unroll
    for (int r = 0; r < 2; ++r)
      if (fetches(c, r)) fetched[r] = fetch(c, now, r);
  }
  __device__ __forceinline__ void finish(const Context<T>& c, const ExchangeBuffer& now, const PipelineState& pipe) {
#pragma unroll
    for (int r = 0; r < 2; ++r)
      if (fetches(c, r)) {
        while (is_empty(fetched[r])) fetched[r] = fetch(c, now, r);
        const int key = c.keys + r;
        ptx::st_shared_v4(page_address(c, pipe, key >> 4) + (c.warp == value_warp ? kHalfPage : 0) +
                              (c.lane >> 3) * 2048 + (key & 15) * 128 + ((c.lane ^ key) & 7) * 16,
                          fetched[r]);
      }
    __syncwarp();
  }
};

// Reduces this rank's 32 query columns over the warps, rotates them and sends them to all ranks. Four warps: a lane
// holds rows 2 * warp, 2 * warp + 1 and 8 further of one of 16 pairs: columns 16 * rank + pair and 128 further.
template <int T>
__device__ __forceinline__ void send_queries(const Context<T>& c) {
  constexpr int kQuery = WeightLayout<T>::kQuery;
  const int lane = c.lane;
  if (c.warp >= kQuery) return;
  const int tile = lane >> 3, from = c.warp * 8 + (lane & 7), row = from >> 2, pair = tile * 4 + (lane & 3);
  const float4 r = reduce_partials<kQuery>(c.scratch, tile, from);
  const float2 t0 = *reinterpret_cast<const float2*>(c.s.rope[pair][row]);
  const float2 t1 = *reinterpret_cast<const float2*>(c.s.rope[pair][row + 8]);
  const uint32_t near = packed<bf16>(r.x * t0.x - r.y * t0.y, r.y * t0.x + r.x * t0.y);
  const uint32_t far = packed<bf16>(r.z * t1.x - r.w * t1.y, r.w * t1.x + r.z * t1.y);
  // Transposed among 4 lanes: each gets 4 columns of one (row, half of the head).
  const bool second = lane & 2, odd_lane = lane & 1;
  const uint32_t mine = second ? far : near;
  const uint32_t other = __shfl_xor_sync(~0u, second ? near : far, 2);
  const uint32_t one = second ? other : mine, two = second ? mine : other;
  const uint32_t lows = __byte_perm(one, two, 0x5410), highs = __byte_perm(one, two, 0x7632);
  const uint32_t keep = odd_lane ? highs : lows;
  const uint32_t got = __shfl_xor_sync(~0u, odd_lane ? lows : highs, 1);
  const uint32_t even = odd_lane ? got : keep, uneven = odd_lane ? keep : got;
  const uint2 four = make_uint2(__byte_perm(even, uneven, 0x5410), __byte_perm(even, uneven, 0x7632));
  const uint32_t fx = __shfl_xor_sync(~0u, four.x, 8), fy = __shfl_xor_sync(~0u, four.y, 8);
  const bool upper = tile & 1;  // of two tiles, one sends to ranks 0..3, the other to 4..7
  const uint4 eight = upper ? make_uint4(fx, fy, four.x, four.y) : make_uint4(four.x, four.y, fx, fy);
  const uint32_t to =
      c.query_address + (row + (second ? 8 : 0)) * kStrideQ + (lane & 1) * 256 + c.rank * 32 + (tile >> 1) * 16;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int rank = (upper ? 4 : 0) + i;
    ptx::st_async_v4(ptx::mapa(to, rank), eight, ptx::mapa(ptx::smem_address(&c.s.recv_q), rank));
  }
}

// Each warp scores one page of keys: stores the probabilities, unnormalised and relative to the page's maximum, and the
// maxima of its rows. Maxima are rounded up to whole powers of 2, so that rescaling probabilities is exact. row_max: of
// rows lane / 4 and lane / 4 + 8.
template <int T>
__device__ __forceinline__ void score_page(const Context<T>& c, const PipelineState& pipe, uint32_t phase,
                                           float (&row_max)[2]) {
  const int warp = c.warp, lane = c.lane;
  uint32_t key[kKeysAhead][4];
  const uint32_t key_at = page_address(c, pipe, warp & 7) + ((lane >> 4) * 8 + (lane & 7)) * 128;
  const uint32_t chunk = (((lane >> 3) & 1) ^ (lane & 7)) * 16;
  if (warp < c.pages) {
#pragma unroll
    for (int b = 0; b < kKeysAhead; ++b) ptx::ldmatrix(key[b], key_at + (b >> 2) * 2048 + (chunk ^ (b & 3) * 32));
  }
  ptx::mbarrier_wait_cluster(ptx::smem_address(&c.s.recv_q), phase);
  row_max[0] = row_max[1] = -1e30f;
  float* maxima = reinterpret_cast<float*>(c.scratch + kTopOff);
  if (warp < c.pages) {
    const int total = c.keys + max(0, min(2, c.p.rows - 2 * c.rank));
    const uint32_t from = c.query_address + (lane & 15) * kStrideQ + (lane >> 4) * 16;
    float e[2][2][4] = {};
#pragma unroll
    for (int b = 0; b < 16; ++b) {
      uint32_t q[4];
      ptx::ldmatrix(q, from + b * 32);
      ptx::mma<bf16>(e[0][b & 1], q, key[b % kKeysAhead][0], key[b % kKeysAhead][1]);
      ptx::mma<bf16>(e[1][b & 1], q, key[b % kKeysAhead][2], key[b % kKeysAhead][3]);
      if (b + kKeysAhead < 16)
        ptx::ldmatrix(key[b % kKeysAhead], key_at + ((b + kKeysAhead) >> 2) * 2048 + (chunk ^ (b & 3) * 32));
    }
#pragma unroll
    for (int t = 0; t < 2; ++t)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool valid = warp * kPage + t * 8 + 2 * (lane & 3) + (i & 1) < total;
        // Exponents of 2: 1 / sqrt(256) * log2(e).
        e[t][0][i] = valid ? (e[t][0][i] + e[t][1][i]) * (0.0625f * 1.4426950408889634f) : -1e30f;
        row_max[i >> 1] = fmaxf(row_max[i >> 1], e[t][0][i]);
      }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      row_max[i] = fmaxf(row_max[i], __shfl_xor_sync(~0u, row_max[i], 1));
      row_max[i] = ceilf(fmaxf(row_max[i], __shfl_xor_sync(~0u, row_max[i], 2)));
    }
    uint32_t* to = reinterpret_cast<uint32_t*>(c.scratch + kProbOff + (lane >> 2) * kStrideP + warp * 32) + (lane & 3);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      to[t * 4] =
          packed<bf16>(ptx::ex2_approx_ftz(e[t][0][0] - row_max[0]), ptx::ex2_approx_ftz(e[t][0][1] - row_max[0]));
      to[8 * kStrideP / 4 + t * 4] =
          packed<bf16>(ptx::ex2_approx_ftz(e[t][0][2] - row_max[1]), ptx::ex2_approx_ftz(e[t][0][3] - row_max[1]));
    }
  }
  if (!(lane & 3))
    maxima[(lane >> 2) * kStrideTop + warp] = row_max[0], maxima[((lane >> 2) + 8) * kStrideTop + warp] = row_max[1];
}

// Two bf16 probabilities times 2^by.
__device__ __forceinline__ uint32_t rescale(uint32_t w, float by) {
  const uint32_t power = packed<bf16>(ptx::ex2_approx_ftz(by), ptx::ex2_approx_ftz(by));
  const __nv_bfloat162 v =
      __hmul2(*reinterpret_cast<__nv_bfloat162*>(&w), *reinterpret_cast<const __nv_bfloat162*>(&power));
  return *reinterpret_cast<const uint32_t*>(&v);
}

// out (16 rows, 32 value columns of this warp) = probabilities x values over all pages of this rank; out[4]: the sums
// of the probabilities. row_max becomes the maximum over the pages.
template <int T>
__device__ __forceinline__ void weigh_values(const Context<T>& c, const PipelineState& pipe, float (&out)[5][4],
                                             float (&row_max)[2]) {
  const int warp = c.warp, lane = c.lane;
  const float* maxima = reinterpret_cast<float*>(c.scratch + kTopOff) + (lane >> 2) * kStrideTop;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float4* all = reinterpret_cast<const float4*>(maxima + 8 * i * kStrideTop);
    const float4 u = all[0], v = all[1];
    row_max[i] = fmaxf(fmaxf(fmaxf(u.x, u.y), fmaxf(u.z, u.w)), fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
  }
#pragma unroll 4
  for (int i = 0; i < c.pages; ++i) {
    uint32_t w[4], v0[4], v1[4];
    ptx::ldmatrix(w, c.scratch_address + kProbOff + (lane & 15) * kStrideP + i * 32 + (lane >> 4) * 16);
    const uint32_t from = page_address(c, pipe, i) + kHalfPage + (warp >> 1) * 2048 + (lane & 15) * 128;
    const uint32_t swizzled = (((warp & 1) * 4 + (lane >> 4)) ^ (lane & 7)) * 16;
    ptx::ldmatrix_trans(v0, from + swizzled);
    ptx::ldmatrix_trans(v1, from + (swizzled ^ 32));
    const float by0 = maxima[i] - row_max[0], by1 = maxima[8 * kStrideTop + i] - row_max[1];
    w[0] = rescale(w[0], by0), w[2] = rescale(w[2], by0), w[1] = rescale(w[1], by1), w[3] = rescale(w[3], by1);
    ptx::mma<bf16>(out[0], w, v0[0], v0[1]);
    ptx::mma<bf16>(out[1], w, v0[2], v0[3]);
    ptx::mma<bf16>(out[2], w, v1[0], v1[1]);
    ptx::mma<bf16>(out[3], w, v1[2], v1[3]);
    ptx::mma<bf16>(out[4], w, 0x3f803f80u, 0x3f803f80u);  // times 1
  }
}

// Sends this warp's 32 columns of the output, normalised and as fp16, to rank `warp`, which combines them, with the
// maximum and the sum of each row.
template <int T>
__device__ __forceinline__ void send_output(const Context<T>& c, const float (&out)[5][4], const float (&row_max)[2]) {
  const uint32_t bar = ptx::mapa(ptx::smem_address(&c.s.recv_o), c.warp);
  const float low = __fdividef(1.f, out[4][0]), high = __fdividef(1.f, out[4][2]);
  const uint32_t to = ptx::mapa(c.scratch_address + c.rank * 1024 + c.lane * 16, c.warp);
#pragma unroll
  for (int t = 0; t < 4; t += 2)
    ptx::st_async_v4(
        to + t * 256,
        make_uint4(packed<fp16>(out[t][0] * low, out[t][1] * low), packed<fp16>(out[t][2] * high, out[t][3] * high),
                   packed<fp16>(out[t + 1][0] * low, out[t + 1][1] * low),
                   packed<fp16>(out[t + 1][2] * high, out[t + 1][3] * high)),
        bar);
  if (!(c.lane & 3)) {
    const uint32_t stat = ptx::mapa(c.scratch_address + kPartBytes + c.rank * 128 + (c.lane >> 2) * 8, c.warp);
    ptx::st_async_v2(stat, row_max[0], out[4][0], bar);
    ptx::st_async_v2(stat + 64, row_max[1], out[4][2], bar);
  }
}

// Combines the 8 ranks' partial outputs of 32 columns and publishes the result: two adjacent columns per thread.
template <int T>
__device__ __forceinline__ void combine_outputs(const Context<T>& c, ExchangeBuffer& now) {
  const int thread = c.thread;
  const int row = ((thread >> 3) & 7) + 8 * (thread & 1), column = (thread >> 6) * 8 + 2 * ((thread >> 1) & 3);
  float2 stat[8];
  float row_max = -1e30f, sum = 0.f, u = 0.f, v = 0.f;
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    stat[r] = *reinterpret_cast<const float2*>(c.scratch + kPartBytes + r * 128 + row * 8);
    row_max = fmaxf(row_max, stat[r].x);
  }
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const float2 part = __half22float2(*reinterpret_cast<const __half2*>(c.scratch + r * 1024 + (thread >> 7) * 512 +
                                                                         ((thread >> 1) & 31) * 16 +
                                                                         ((thread >> 6) & 1) * 8 + (thread & 1) * 4));
    const float w = ptx::ex2_approx_ftz(stat[r].x - row_max) * stat[r].y;
    sum += w, u += w * part.x, v += w * part.y;
  }
  const float scale = __fdividef(1.f, sum);
  publish(&now.att[fragment_offset(row, c.cluster * kDim + c.rank * 32 + column)], packed<bf16>(u * scale, v * scale));
}

// Attention of this cluster's head; the queries' partial sums are in the scratch area, the pages of keys and values
// next in the pipeline. phase: of the mbarriers recv_q and recv_o.
template <int T>
__device__ __forceinline__ void attention(const Context<T>& c, ExchangeBuffer& now, PipelineState& pipe,
                                          uint32_t& phase) {
  PipelineState page = pipe;
  for (int i = 0; i < c.pages; ++i) {
    ptx::mbarrier_wait(ptx::smem_address(&c.s.full[page.stage]), page.parity);
    page.advance(c.p.stages);
  }
  ActionKeys<T> action_keys(c);
  action_keys.start(c, now);
  send_queries(c);
  action_keys.finish(c, now, pipe);
  float row_max[2], out[5][4] = {};
  score_page(c, pipe, phase, row_max);
  sync_consumers();
  weigh_values(c, pipe, out, row_max);
  send_output(c, out, row_max);
  // This thread's writes to the pages come before TMA's next ones.
  if (c.lane == 0) ptx::fence_proxy_async_shared();
  __syncwarp();
  for (int i = 0; i < c.pages; ++i) {
    if (c.lane == 0) ptx::mbarrier_arrive(ptx::smem_address(&c.s.empty[pipe.stage]));
    pipe.advance(c.p.stages);
  }
  ptx::mbarrier_wait_cluster(ptx::smem_address(&c.s.recv_o), phase);
  phase ^= 1;
  if (c.thread == 0) {
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&c.s.recv_q), 8192);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&c.s.recv_o), kRecvOBytes);
  }
  combine_outputs(c, now);
  sync_consumers();
}

}  // namespace pi05::expert
