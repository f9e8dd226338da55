// One persistent kernel for all flow steps of the action expert: Hopper, batch 1, up to 16 action rows.
//
// Every CTA streams its share of the weights through a ring of shared-memory stages, never waiting for activations, so
// that memory stays busy while CTAs wait for each other. Within a cluster of 8 they talk through distributed shared
// memory; between clusters through mail in L2.
//
// One kernel in one file, which makes it a long one.
#pragma once

#include "backend/cuda/kernels/expert_product.cuh"

namespace pi05::expert {

// Chunks of a product's weights that a warp holds before its activations are there: as many as registers allow, fewer
// where a fuller stream would delay the mail.
constexpr int kUpAhead = 2;
constexpr int kKeysAhead = 4;  // of 16 steps of a page's scores

template <int T>
__global__ void __launch_bounds__(kThreads, 1) kernel(const __grid_constant__ Params p) {
  using P = Plan<T>;
  using L = Layout<T>;
  extern __shared__ __align__(128) uint8_t smem[];
  uint8_t* act = smem;
  float* mod_s = reinterpret_cast<float*>(smem + L::kMod);
  float* recv = reinterpret_cast<float*>(smem + L::kRecv);
  Small& s = *reinterpret_cast<Small*>(smem + L::kSmall);
  uint8_t* ring = smem + Ring<T>::kOffset;
  const uint32_t ring_a = ptx::smem_address(ring), act_a = ptx::smem_address(act),
                 query_a = ptx::smem_address(smem + L::kQuery);
  int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31;
  const int cta = blockIdx.x, rank = cta & 7, cluster = cta >> 3, clusters = p.clusters, ctas = clusters * 8;
  const bool has_head = cluster < kHeads;
  const int kv_cta = cta - 64, kv_ctas = ctas - 64;
  const int prefix = p.prefix;
  const int per = (prefix + 7) / 8;
  const int key0 = min(rank * per, prefix), nkeys = min(per, prefix - key0);  // this rank's cached keys
  const int pages = (per + 2 + kPage - 1) / kPage;                            // with two action rows behind them
  const int own_slots = (T - 1 - rank) / 8 + 1;                               // owned tiles: slots rank, rank + 8

  if (tid == 0) {
    for (int i = 0; i < p.stages; ++i)
      ptx::mbarrier_init(ptx::smem_address(&s.full[i]), 1), ptx::mbarrier_init(ptx::smem_address(&s.empty[i]), 8);
    ptx::mbarrier_init(ptx::smem_address(&s.recv_q), 1);
    ptx::mbarrier_init(ptx::smem_address(&s.recv_o), 1);
    ptx::mbarrier_init(ptx::smem_address(&s.recv_c), 1);
    ptx::fence_mbarrier_init();
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_q), 8192);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_o), kRecvOBytes);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_c), own_slots * 4096);
  }
  // rows of a page that no copy fills must be finite: their weight is zero
  for (int i = tid; i < p.stages * L::kStage / 16; i += kThreads)
    reinterpret_cast<uint4*>(ring)[i] = make_uint4(0, 0, 0, 0);
  for (int i = tid; i < 16 * kRows; i += kThreads) {
    int pair = i / kRows, row = i % kRows;
    int index = rank * 16 + pair;
    double angle = 0, sn, cs;
    if (!has_head) index = (kv_cta + (pair >> 2) * kv_ctas) * 4 + (pair & 3);  // keys below 128, values from 128 on
    if (index < 128) angle = double(prefix + row) * pow(10000.0, -double(index) / 128.0);
    sincos(angle, &sn, &cs);
    s.rope[pair][row][0] = (float)cs;
    s.rope[pair][row][1] = (float)sn;
  }
  for (int i = tid; i < kRows * kActionDim; i += kThreads) s.xt[0][i] = i < p.rows * kActionDim ? p.noise[i] : 0.f;
  ptx::fence_proxy_async_shared();
  ptx::barrier_cluster_arrive(), ptx::barrier_cluster_wait();

  if (warp >= 8) {  // ---- producer, one warp ----
    ptx::setmaxnreg_dec<40>();
    if (warp == 8) {
      const uint64_t stream_policy = ptx::createpolicy_evict_first(), keep_policy = ptx::createpolicy_evict_last();
      Cursor at, landed;
      at.parity = 1;  // the first round waits for nothing
      int flying = 0;
      auto open = [&](uint32_t bytes) {
        if (flying == p.inflight) {
          ptx::mbarrier_wait(ptx::smem_address(&s.full[landed.stage]), landed.parity);
          landed.advance(p.stages);
        } else {
          ++flying;
        }
        const uint32_t stage = at.stage;
        ptx::mbarrier_wait(ptx::smem_address(&s.empty[stage]), at.parity);
        at.advance(p.stages);
        if (lane == 0) ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.full[stage]), bytes);
        __syncwarp();
        return stage;
      };
      for (int step = 0; step < p.steps; ++step)
        for (int layer = 0; layer < p.layers; ++layer) {
          const uint8_t* src = p.weights + (size_t(layer) * ctas + cta) * P::kLayerBytes;
          auto chunks = [&](int count, uint32_t bytes) {
            for (int c = 0; c < count; ++c, src += bytes) {
              const uint32_t stage = open(bytes);
              if (lane == 0)
                ptx::cp_async_bulk_g2s(ring_a + stage * L::kStage, src, bytes, ptx::smem_address(&s.full[stage]),
                                       stream_policy);
            }
          };
          chunks(has_head ? P::kQueryChunks : P::kKvChunks, P::kChunk1);
          if (has_head)
            for (int page = 0; page < pages; ++page) {
              const uint32_t stage = open(kPageBytes);
              if (lane == 0) {
                const uint32_t to = ring_a + stage * L::kStage, bar = ptx::smem_address(&s.full[stage]);
                ptx::tma_load_4d(to, &p.keys, 0, key0 + page * kPage, 0, layer, bar, keep_policy);
                ptx::tma_load_4d(to + kHalfPage, &p.values, 0, key0 + page * kPage, 0, layer, bar, keep_policy);
              }
            }
          chunks(P::kOutChunks, P::kChunk2);
          chunks(P::kUpChunks, P::kChunk1);
          chunks(P::kDownChunks, P::kChunk2);
        }
    }
  } else {  // ---- consumers ----
    ptx::setmaxnreg_inc<232>();
    Cursor at;
    uint32_t odd = 0, odd_c = 0;  // phases of the receive barriers
    int turn = 0;                 // which copy of the mail
    // Fragment order: thread t holds element (frow, fcol) of the 8-column tile `own` (slot rank for t < 128, rank + 8
    // above).
    const int frag = tid & 127, slot = rank + (tid >> 7) * 8;
    const int own = cluster + slot * clusters;
    const bool owner = slot < T && own < 128;
    const int frow = (frag >> 4) + 8 * ((frag >> 1) & 1), fcol = own * 8 + 2 * ((frag >> 2) & 3) + (frag & 1);
    float x_own = 0.f;  // residual (frow, fcol)

    auto mod_at = [&](int step, int index) { return p.mod + (size_t(step) * (2 * p.layers + 1) + index) * 3 * kWidth; };
    auto gate_at = [&](int step, int index) { return owner ? mod_at(step, index)[2 * kWidth + fcol] : 0.f; };
    // empties what this CTA wrote into one copy
    auto clear = [&](Mail& m) {
      if (owner && (tid & 127) < 48)
        ptx::st_relaxed_v4(&m.x[frag >> 4][place(frag & 15, own * 8)], make_uint4(kEmpty, kEmpty, kEmpty, kEmpty));
      if (has_head && tid >= 48 && tid < 112) {
        const int i = tid - 48;
        ptx::st_relaxed_v4(&m.att[(cluster * kDim + rank * 32) * kRows + i * 8],
                           make_uint4(kEmpty, kEmpty, kEmpty, kEmpty));
      }
      if (!has_head && tid >= 176) {
        const int i = (tid - 176), tile = kv_cta + (i >> 5) * kv_ctas;  // 64 of 80: rows x halves of up to two tiles
        if (i < 64 && tile < kKvTiles)
          ptx::st_relaxed_v2(&m.kv[tile >> 5][i & 15][(tile & 31) * 4 + ((i >> 4) & 1) * 128], kEmpty, kEmpty);
      }
      if (cta < 64 && tid >= 112 && tid < 120) ptx::st_relaxed(&m.v[(cta >> 5) * 8 + tid - 112][cta & 31], kEmpty);
      for (int i = tid; i < T * kRows; i += kConsumers) {
        const int unit = cta + (i >> 4) * ctas;
        if (unit < 1024) ptx::st_relaxed_v2(&m.h[place(i & 15, unit * 4)], kEmpty, kEmpty);
      }
    };
    // waits for one word of each of this warp's writers: fewer reads than asking for everything until it is there
    auto watch = [&](const void* mark) {
      while (empty(ptx::ld_relaxed(mark))) {
      }
      __syncwarp();
    };
    // scale and shift of a coming norm, this warp's 128 columns -> mod_s
    auto prefetch_mod = [&](int step, int index) {
      const float* src = mod_at(step, index);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int at = i * kWidth + warp * 128 + lane * 4;
        ptx::cp_async_16(ptx::smem_address(mod_s + at), src + at);
      }
      ptx::cp_async_commit_group();
    };
    // rmsnorm(x) * (1 + scale) + shift, this warp's 128 columns
    auto norm = [&](const __nv_bfloat16* x) {
      ptx::cp_async_wait_all();
      __syncwarp();
      const float4* scale_at = reinterpret_cast<const float4*>(mod_s + warp * 128 + (lane & 3) * 8);
      float4 scale[4][2];
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float4 v = scale_at[i / 2 * 8 + i % 2];
        scale[i / 2][i % 2] = make_float4(1.f + v.x, 1.f + v.y, 1.f + v.z, 1.f + v.w);
      }
      watch(&x[place(15, warp * 128 + (lane & 15) * 8 + 6)]);
      Slice<4> a = receive<4>(x, warp * 128, lane);
      float low[4][8], high[4][8], sums[2][2] = {};
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        auto widen = [&](float (&to)[8], uint4 v, float& sum) {
          const uint32_t w[4] = {v.x, v.y, v.z, v.w};
          const float c[8] = {scale[b][0].x, scale[b][0].y, scale[b][0].z, scale[b][0].w,
                              scale[b][1].x, scale[b][1].y, scale[b][1].z, scale[b][1].w};
#pragma unroll
          for (int i = 0; i < 8; ++i) {
            const float x = i & 1 ? hi(w[i / 2]) : lo(w[i / 2]);
            sum += x * x;
            to[i] = x * c[i];
          }
        };
        widen(low[b], a.low[b], sums[0][b & 1]);
        widen(high[b], a.high[b], sums[1][b & 1]);
      }
      float l = sums[0][0] + sums[0][1], h = sums[1][0] + sums[1][1];
      l += __shfl_xor_sync(~0u, l, 1), h += __shfl_xor_sync(~0u, h, 1);
      l += __shfl_xor_sync(~0u, l, 2), h += __shfl_xor_sync(~0u, h, 2);
      if ((lane & 3) == 0) s.squares[lane >> 2][warp] = l, s.squares[(lane >> 2) + 8][warp] = h;
      sync_consumers();
      auto inverse = [&](int row) {
        const float4* all = reinterpret_cast<const float4*>(s.squares[row]);
        const float4 u = all[0], v = all[1];
        return rsqrtf((((u.x + u.y) + (u.z + u.w)) + ((v.x + v.y) + (v.z + v.w))) * (1.f / kWidth) + 1e-6f);
      };
      l = inverse(lane >> 2), h = inverse((lane >> 2) + 8);
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const float4 h0 = scale_at[kWidth / 4 + b * 8], h1 = scale_at[kWidth / 4 + b * 8 + 1];
        auto turn = [&](uint4& u, const float (&v)[8], float i) {
          u.x = packed<bf16>(v[0] * i + h0.x, v[1] * i + h0.y);
          u.y = packed<bf16>(v[2] * i + h0.z, v[3] * i + h0.w);
          u.z = packed<bf16>(v[4] * i + h1.x, v[5] * i + h1.y);
          u.w = packed<bf16>(v[6] * i + h1.z, v[7] * i + h1.w);
        };
        turn(a.low[b], low[b], l);
        turn(a.high[b], high[b], h);
      }
      return a;
    };
    auto post_x = [&](__nv_bfloat16* x) {
      const float other = __shfl_xor_sync(~0u, x_own, 1);
      if (owner && !(tid & 1)) ptx::st_relaxed(&x[place(frow, fcol)], packed<bf16>(x_own, other));
    };
    // sums a split-K product over warps and ranks; residual += gate * sum
    auto reduce_residual = [&](float (&acc)[T][4], float gate, __nv_bfloat16* x) {
      spill<T>(acc, act, warp, lane);
#pragma unroll
      for (int t = 0; t < (T + 7) / 8; ++t) {
        const int tile = t * 8 + warp;
        if (tile < T) {
          const float4 v = gather<T>(act, tile, lane);
          ptx::st_async_v4(ptx::mapa(ptx::smem_address(recv + t * 1024 + rank * 128 + lane * 4), warp),
                           bits(v.x, v.y, v.z, v.w), ptx::mapa(ptx::smem_address(&s.recv_c), warp));
        }
      }
      ptx::mbarrier_wait_cluster(ptx::smem_address(&s.recv_c), odd_c);
      odd_c ^= 1;
      if (slot < T) {
        float sum = 0.f;
#pragma unroll
        for (int r = 0; r < 8; ++r) sum += recv[(tid >> 7) * 1024 + r * 128 + frag];
        x_own += gate * sum;
      }
      post_x(x);
      if (tid == 0) ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_c), own_slots * 4096);
    };
    auto embed = [&](Mail& m) {  // action_in_proj of xt, own columns
      if (owner) {
        float sum = p.in_b[fcol];
#pragma unroll
        for (int i = 0; i < kActionDim; ++i) sum += s.xt[frow][i] * p.in_w[fcol * kActionDim + i];
        x_own = sum;
      }
      post_x(m.x[2]);
    };
    // turns tile's rotary pairs; lane holds pairs (row, t) and (row + 8, t)
    auto turn_pairs = [&](float4 r, int tile) {
      const int row = lane >> 2, pair = tile * 4 + (lane & 3);
      const float c0 = s.rope[pair][row][0], s0 = s.rope[pair][row][1], c1 = s.rope[pair][row + 8][0],
                  s1 = s.rope[pair][row + 8][1];
      return make_float4(r.x * c0 - r.y * s0, r.y * c0 + r.x * s0, r.z * c1 - r.w * s1, r.w * c1 + r.z * s1);
    };
    auto neighbours = [&](float4 o) {
      return make_uint4(
          packed<bf16>(o.x, __shfl_down_sync(~0u, o.x, 1)), packed<bf16>(o.y, __shfl_down_sync(~0u, o.y, 1)),
          packed<bf16>(o.z, __shfl_down_sync(~0u, o.z, 1)), packed<bf16>(o.w, __shfl_down_sync(~0u, o.w, 1)));
    };

    prefetch_mod(0, 0);
    embed(p.mail[1]);
    for (int step = 0; step < p.steps; ++step) {
      for (int layer = 0; layer < p.layers; ++layer) {
        Mail &now = p.mail[turn], &before = p.mail[turn ^ 1];
        turn ^= 1;
        float gate = gate_at(step, 2 * layer);
        // so that nothing made of these is computed once for all layers, and then lacks registers
        asm volatile("" : "+r"(tid), "+r"(warp), "+r"(lane));
        // -- queries (clusters 0..7), keys and values (the others) --
        uint4 first[P::kQueryChunks][P::kQ1];
        take<P::kQ1, L::kStage>(first[0], ring_a, p.stages, s, at, warp, lane);
        take<P::kQ1, L::kStage>(first[1], ring_a, p.stages, s, at, warp, lane);
        if (has_head) {
          take<P::kQ1, L::kStage>(first[2], ring_a, p.stages, s, at, warp, lane);
          take<P::kQ1, L::kStage>(first[3], ring_a, p.stages, s, at, warp, lane);
        }
        Slice<4> a = norm(layer == 0 ? before.x[2] : before.x[1]);
        if (has_head) {
          float acc[P::kQuery][4];
          gemm<P::kQuery, 4, P::kQ1, L::kStage>(acc, a, first, ring_a, p.stages, s, at, warp, lane);
          spill<P::kQuery>(acc, act, warp, lane);
          prefetch_mod(step, 2 * layer + 1);
          Cursor page = at;
          for (int i = 0; i < pages; ++i) {
            ptx::mbarrier_wait(ptx::smem_address(&s.full[page.stage]), page.parity);
            page.advance(p.stages);
          }
          auto page_at = [&](int i) {
            int stage = at.stage + i;
            return ring_a + (stage >= p.stages ? stage - p.stages : stage) * L::kStage;
          };
          // Each warp scores a page of keys. The last two keys are action rows 2*rank, 2*rank + 1.
          const int total = nkeys + max(0, min(2, p.rows - 2 * rank)), fetcher = ((nkeys >> 4) + 2) & 7;
          auto fetches = [&](int r) { return warp == (nkeys + r) >> 4 || warp == fetcher; };
          auto fetch = [&](int r) { return ptx::ld_relaxed_v4(&now.kv[warp == fetcher][2 * rank + r][lane * 8]); };
          uint4 fresh[2];
#pragma unroll
          for (int r = 0; r < 2; ++r)
            if (fetches(r)) fresh[r] = fetch(r);
          if (warp < P::kQuery) {
            // rows 2*warp, 2*warp + 1 and 8 further; 16 pairs: columns 16*rank + pair and 128 further
            const int tile = lane >> 3, from = warp * 8 + (lane & 7), row = from >> 2, pair = tile * 4 + (lane & 3);
            const float4 r = gather<P::kQuery>(act, tile, from);
            const float2 t0 = *reinterpret_cast<const float2*>(s.rope[pair][row]);
            const float2 t1 = *reinterpret_cast<const float2*>(s.rope[pair][row + 8]);
            const uint32_t near = packed<bf16>(r.x * t0.x - r.y * t0.y, r.y * t0.x + r.x * t0.y);
            const uint32_t far = packed<bf16>(r.z * t1.x - r.w * t1.y, r.w * t1.x + r.z * t1.y);
            // transposed among 4 lanes: each gets one (row, half), 4 columns
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
            const bool upper = tile & 1;  // of two tiles, one sends to ranks 0..3, one to 4..7
            const uint4 eight = upper ? make_uint4(fx, fy, four.x, four.y) : make_uint4(four.x, four.y, fx, fy);
            const uint32_t to =
                query_a + (row + (second ? 8 : 0)) * kStrideQ + (lane & 1) * 256 + rank * 32 + (tile >> 1) * 16;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              const int r = (upper ? 4 : 0) + i;
              ptx::st_async_v4(ptx::mapa(to, r), eight, ptx::mapa(ptx::smem_address(&s.recv_q), r));
            }
          }
          // -- attention over this rank's keys --
#pragma unroll
          for (int r = 0; r < 2; ++r)
            if (fetches(r)) {
              while (empty(fresh[r])) fresh[r] = fetch(r);
              const int key = nkeys + r;
              ptx::st_shared_v4(page_at(key >> 4) + (warp == fetcher ? kHalfPage : 0) + (lane >> 3) * 2048 +
                                    (key & 15) * 128 + ((lane ^ key) & 7) * 16,
                                fresh[r]);
            }
          __syncwarp();
          uint32_t key[kKeysAhead][4];
          const uint32_t key_at = page_at(warp & 7) + ((lane >> 4) * 8 + (lane & 7)) * 128;
          const uint32_t chunk = (((lane >> 3) & 1) ^ (lane & 7)) * 16;
          if (warp < pages) {
#pragma unroll
            for (int b = 0; b < kKeysAhead; ++b)
              ptx::ldmatrix(key[b], key_at + (b >> 2) * 2048 + (chunk ^ (b & 3) * 32));
          }
          ptx::mbarrier_wait_cluster(ptx::smem_address(&s.recv_q), odd);
          float top[2] = {-1e30f, -1e30f};
          float* tops = reinterpret_cast<float*>(act + kTopOff);
          if (warp < pages) {
            const uint32_t from = query_a + (lane & 15) * kStrideQ + (lane >> 4) * 16;
            float e[2][2][4] = {};
#pragma unroll
            for (int b = 0; b < 16; ++b) {
              uint32_t q[4];
              ptx::ldmatrix(q, from + b * 32);
              ptx::mma<bf16>(e[0][b & 1], {q[0], q[1], q[2], q[3]}, key[b % kKeysAhead][0], key[b % kKeysAhead][1]);
              ptx::mma<bf16>(e[1][b & 1], {q[0], q[1], q[2], q[3]}, key[b % kKeysAhead][2], key[b % kKeysAhead][3]);
              if (b + kKeysAhead < 16)
                ptx::ldmatrix(key[b % kKeysAhead], key_at + ((b + kKeysAhead) >> 2) * 2048 + (chunk ^ (b & 3) * 32));
            }
#pragma unroll
            for (int t = 0; t < 2; ++t)
#pragma unroll
              for (int i = 0; i < 4; ++i) {
                const bool valid = warp * kPage + t * 8 + 2 * (lane & 3) + (i & 1) < total;
                // of powers of 2
                e[t][0][i] = valid ? (e[t][0][i] + e[t][1][i]) * (0.0625f * 1.4426950408889634f) : -1e30f;
                top[i >> 1] = fmaxf(top[i >> 1], e[t][0][i]);
              }
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              top[i] = fmaxf(top[i], __shfl_xor_sync(~0u, top[i], 1));
              top[i] = ceilf(fmaxf(top[i], __shfl_xor_sync(~0u, top[i], 2)));
            }
            uint32_t* to =
                reinterpret_cast<uint32_t*>(act + kProbOff + (lane >> 2) * kStrideP + warp * 32) + (lane & 3);
#pragma unroll
            for (int t = 0; t < 2; ++t) {
              to[t * 4] =
                  packed<bf16>(ptx::ex2_approx_ftz(e[t][0][0] - top[0]), ptx::ex2_approx_ftz(e[t][0][1] - top[0]));
              to[8 * kStrideP / 4 + t * 4] =
                  packed<bf16>(ptx::ex2_approx_ftz(e[t][0][2] - top[1]), ptx::ex2_approx_ftz(e[t][0][3] - top[1]));
            }
          }
          if (!(lane & 3))
            tops[(lane >> 2) * kStrideTop + warp] = top[0], tops[((lane >> 2) + 8) * kStrideTop + warp] = top[1];
          sync_consumers();
          float o[5][4] = {};  // the last: sums of the weights
          tops += (lane >> 2) * kStrideTop;
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            const float4* all = reinterpret_cast<const float4*>(tops + 8 * i * kStrideTop);
            const float4 u = all[0], v = all[1];
            top[i] = fmaxf(fmaxf(fmaxf(u.x, u.y), fmaxf(u.z, u.w)), fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
          }
          // pages' maxima are whole powers of 2: weights come to the common one exactly
          auto shift = [](uint32_t w, float by) {
            const uint32_t power = packed<bf16>(ptx::ex2_approx_ftz(by), ptx::ex2_approx_ftz(by));
            const __nv_bfloat162 v =
                __hmul2(*reinterpret_cast<__nv_bfloat162*>(&w), *reinterpret_cast<const __nv_bfloat162*>(&power));
            return *reinterpret_cast<const uint32_t*>(&v);
          };
#pragma unroll 4
          for (int i = 0; i < pages; ++i) {
            uint32_t w[4], v0[4], v1[4];
            ptx::ldmatrix(w, act_a + kProbOff + (lane & 15) * kStrideP + i * 32 + (lane >> 4) * 16);
            const uint32_t from = page_at(i) + kHalfPage + (warp >> 1) * 2048 + (lane & 15) * 128;
            const uint32_t swizzled = (((warp & 1) * 4 + (lane >> 4)) ^ (lane & 7)) * 16;
            ptx::ldmatrix_trans(v0, from + swizzled);
            ptx::ldmatrix_trans(v1, from + (swizzled ^ 32));
            const float by0 = tops[i] - top[0], by1 = tops[8 * kStrideTop + i] - top[1];
            w[0] = shift(w[0], by0), w[2] = shift(w[2], by0), w[1] = shift(w[1], by1), w[3] = shift(w[3], by1);
            ptx::mma<bf16>(o[0], {w[0], w[1], w[2], w[3]}, v0[0], v0[1]);
            ptx::mma<bf16>(o[1], {w[0], w[1], w[2], w[3]}, v0[2], v0[3]);
            ptx::mma<bf16>(o[2], {w[0], w[1], w[2], w[3]}, v1[0], v1[1]);
            ptx::mma<bf16>(o[3], {w[0], w[1], w[2], w[3]}, v1[2], v1[3]);
            ptx::mma<bf16>(o[4], {w[0], w[1], w[2], w[3]}, 0x3f803f80u, 0x3f803f80u);  // times 1
          }
          {  // warp w holds value columns [32w, 32w+32): rank w sums them; as fp16, larger ones than that holds cut
            const uint32_t bar = ptx::mapa(ptx::smem_address(&s.recv_o), warp);
            const float low = __fdividef(1.f, o[4][0]), high = __fdividef(1.f, o[4][2]);
            const uint32_t to = ptx::mapa(act_a + rank * 1024 + lane * 16, warp);
#pragma unroll
            for (int t = 0; t < 4; t += 2)
              ptx::st_async_v4(
                  to + t * 256,
                  make_uint4(packed<fp16>(o[t][0] * low, o[t][1] * low), packed<fp16>(o[t][2] * high, o[t][3] * high),
                             packed<fp16>(o[t + 1][0] * low, o[t + 1][1] * low),
                             packed<fp16>(o[t + 1][2] * high, o[t + 1][3] * high)),
                  bar);
            if (!(lane & 3)) {
              const uint32_t stat = ptx::mapa(act_a + kPartBytes + rank * 128 + (lane >> 2) * 8, warp);
              ptx::st_async_v2(stat, top[0], o[4][0], bar);
              ptx::st_async_v2(stat + 64, top[1], o[4][2], bar);
            }
          }
          if (lane == 0) ptx::fence_proxy_async_shared();
          __syncwarp();
          for (int i = 0; i < pages; ++i) {
            if (lane == 0) ptx::mbarrier_arrive(ptx::smem_address(&s.empty[at.stage]));
            at.advance(p.stages);
          }
          ptx::mbarrier_wait_cluster(ptx::smem_address(&s.recv_o), odd);
          odd ^= 1;
          if (tid == 0) {
            ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_q), 8192);
            ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_o), kRecvOBytes);
          }
          {  // two neighbouring columns a thread
            const int row = ((tid >> 3) & 7) + 8 * (tid & 1), column = (tid >> 6) * 8 + 2 * ((tid >> 1) & 3);
            float2 stat[8];
            float most = -1e30f, sum = 0.f, u = 0.f, v = 0.f;
#pragma unroll
            for (int r = 0; r < 8; ++r) {
              stat[r] = *reinterpret_cast<const float2*>(act + kPartBytes + r * 128 + row * 8);
              most = fmaxf(most, stat[r].x);
            }
#pragma unroll
            for (int r = 0; r < 8; ++r) {
              const float2 part = __half22float2(*reinterpret_cast<const __half2*>(
                  act + r * 1024 + (tid >> 7) * 512 + ((tid >> 1) & 31) * 16 + ((tid >> 6) & 1) * 8 + (tid & 1) * 4));
              const float w = ptx::ex2_approx_ftz(stat[r].x - most) * stat[r].y;
              sum += w, u += w * part.x, v += w * part.y;
            }
            const float scale = __fdividef(1.f, sum);
            ptx::st_relaxed(&now.att[place(row, cluster * kDim + rank * 32 + column)],
                            packed<bf16>(u * scale, v * scale));
            sync_consumers();
          }
        } else {
          float acc[P::kKv][4];
          gemm<P::kKv, 4, P::kQ1, L::kStage>(acc, a, first, ring_a, p.stages, s, at, warp, lane);
          spill<P::kKv>(acc, act, warp, lane);
          prefetch_mod(step, 2 * layer + 1);
          const int tile = kv_cta + warp * kv_ctas;
          if (warp < P::kKv) {
            const uint4 n = neighbours(turn_pairs(gather<P::kKv>(act, warp, lane), warp));
            if (!(lane & 1) && tile < kKvTiles) {
              __nv_bfloat16* to = &now.kv[tile >> 5][lane >> 2][(tile & 31) * 4 + (lane & 3)];
              ptx::st_relaxed(to, n.x), ptx::st_relaxed(to + 128, n.y), ptx::st_relaxed(to + 8 * kDim, n.z),
                  ptx::st_relaxed(to + 8 * kDim + 128, n.w);
            }
          }
          sync_consumers();
        }
        // -- o_proj: rank r takes head r --
        {
          uint4 ahead[P::kOutChunks][P::kQ2];
#pragma unroll
          for (int c = 0; c < P::kOutChunks; ++c)
            take<P::kQ2, L::kStage>(ahead[c], ring_a, p.stages, s, at, warp, lane);
          watch(&now.att[place(15, rank * kDim + warp * 32 + 30)]);
          const Slice<1> o = receive<1>(now.att, rank * kDim + warp * 32, lane);
          float acc[T][4];
          gemm<T, 1, P::kQ2, L::kStage>(acc, o, ahead, ring_a, p.stages, s, at, warp, lane);
          reduce_residual(acc, gate, now.x[0]);
        }
        // -- gate and up --
        gate = gate_at(step, 2 * layer + 1);
        {
          uint4 ahead[kUpAhead][P::kQ1];
#pragma unroll
          for (int c = 0; c < kUpAhead; ++c) take<P::kQ1, L::kStage>(ahead[c], ring_a, p.stages, s, at, warp, lane);
          a = norm(now.x[0]);
          float acc[T][4];
          gemm<T, 4, P::kQ1, L::kStage>(acc, a, ahead, ring_a, p.stages, s, at, warp, lane);
          spill<T>(acc, act, warp, lane);
          prefetch_mod(step, 2 * layer + 2);
#pragma unroll
          for (int t = 0; t < (T + 7) / 8; ++t) {
            const int tile = t * 8 + warp, unit = cta + tile * ctas;
            if (tile < T && unit < 1024) {
              const float4 r = gather<T>(act, tile, lane);
              const float u = kernels::gelu_tanh_expf(r.x) * r.y, v = kernels::gelu_tanh_expf(r.z) * r.w;
              const float u1 = __shfl_down_sync(~0u, u, 1), v1 = __shfl_down_sync(~0u, v, 1);
              __nv_bfloat16* to = &now.h[place(lane >> 2, unit * 4 + (lane & 3))];  // 8 rows further: 256 elements
              if (!(lane & 1)) ptx::st_relaxed(to, packed<bf16>(u, u1)), ptx::st_relaxed(to + 256, packed<bf16>(v, v1));
            }
          }
        }
        clear(before);
        // -- down: rank r takes inputs [512r, 512r + 512) --
        {
          sync_consumers();  // gathered: the scratch is free
          uint4 ahead[P::kDownChunks][P::kQ2];
#pragma unroll
          for (int c = 0; c < P::kDownChunks; ++c)
            take<P::kQ2, L::kStage>(ahead[c], ring_a, p.stages, s, at, warp, lane);
          watch(&now.h[place(15, rank * 512 + warp * 64 + (lane & 15) * 4 + 2)]);
          const Slice<2> h = receive<2>(now.h, rank * 512 + warp * 64, lane);
          float acc[T][4];
          gemm<T, 2, P::kQ2, L::kStage>(acc, h, ahead, ring_a, p.stages, s, at, warp, lane);
          reduce_residual(acc, gate, now.x[1]);
        }
      }
      // -- velocity and Euler step --
      Mail& last = p.mail[turn ^ 1];
      const Slice<4> y = norm(last.x[1]);
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        uint8_t* to = act + (lane >> 2) * kStrideX + (warp * 4 + b) * 64 + (lane & 3) * 16;
        *reinterpret_cast<uint4*>(to) = y.low[b];
        *reinterpret_cast<uint4*>(to + 8 * kStrideX) = y.high[b];
      }
      sync_consumers();
      if (step + 1 < p.steps) prefetch_mod(step + 1, 0);
      if (cta < 64) {  // 32 outputs x two halves of the rows
        const int row = (cta >> 5) * 8 + warp, out = cta & 31;
        float sum = 0.f;
#pragma unroll
        for (int j = 0; j < 16; ++j) {
          const int k = j * 64 + lane * 2;
          const uint32_t a = *reinterpret_cast<uint32_t*>(act + row * kStrideX + k * 2);
          const float2 w = *reinterpret_cast<const float2*>(p.out_w + out * kWidth + k);
          sum += lo(a) * w.x + hi(a) * w.y;
        }
#pragma unroll
        for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
        if (lane == 0) ptx::st_relaxed(&last.v[row][out], __float_as_uint(sum + p.out_b[out]));
      }
      for (int i = tid; i < kRows * kActionDim; i += kConsumers) {
        uint32_t v;
        do v = ptx::ld_relaxed(&last.v[0][i]);
        while (empty(v));
        if (i < p.rows * kActionDim) {
          const float x = s.xt[0][i], raw = __uint_as_float(v);
          const float error = (p.previous[i] - (x - p.times[step] * raw)) * p.pull[i / kActionDim];
          const float velocity = raw - p.guidance[step] * error;
          s.xt[0][i] = x + p.dt * velocity;
          if (cta == 0) p.velocities[step * p.rows * kActionDim + i] = velocity;
        }
      }
      sync_consumers();
      if (step + 1 < p.steps) embed(last);
    }
    if (cta == 0)
      for (int i = tid; i < p.rows * kActionDim; i += kConsumers) p.actions[i] = s.xt[0][i];
  }
  ptx::barrier_cluster_arrive(), ptx::barrier_cluster_wait();
}
}  // namespace pi05::expert
