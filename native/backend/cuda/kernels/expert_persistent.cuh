// One persistent kernel for all flow steps of the action expert: Hopper, batch 1, up to 16 action rows.
//
// Every CTA streams its share of the weights through a ring of shared-memory stages, never waiting for activations, so
// that memory stays busy while CTAs wait for each other. Within a cluster of 8 they talk through distributed shared
// memory; between clusters through mail in L2.
//
// One kernel in one file, which makes it a long one.
#pragma once

#include "backend/cuda/kernels/expert_layout.cuh"

namespace pi05::expert {

struct Cursor {
  uint32_t stage = 0, parity = 0;
  __device__ __forceinline__ void advance(int stages) {
    if (++stage == (uint32_t)stages) stage = 0, parity ^= 1;
  }
};

// Where element (row, col) of 16 rows lies: (block of 32 columns, upper 8 rows, lane, 8 columns).
__device__ __forceinline__ int place(int row, int col) {
  return ((col >> 5) * 2 + (row >> 3)) * 256 + ((row & 7) * 4 + ((col >> 3) & 3)) * 8 + (col & 7);
}
// A warp's slice of the activations as mma fragments: rows lane / 4 (low) and lane / 4 + 8 (high), blocks of 32 inputs.
// Inputs are permuted within a block, alike for activations and weights: a lane holds 8 that are neighbours in memory.
template <int Blocks>
struct Slice {
  uint4 low[Blocks], high[Blocks];
  __device__ __forceinline__ bool incomplete() const {
    bool any = false;
#pragma unroll
    for (int b = 0; b < Blocks; ++b) any |= empty(low[b]) || empty(high[b]);
    return any;
  }
};
// Waits for mail: the blocks from column `first` on.
template <int Blocks>
__device__ __forceinline__ Slice<Blocks> receive(const __nv_bfloat16* x, int first, int lane) {
  Slice<Blocks> a;
  const __nv_bfloat16* from = x + first * kRows + lane * 8;
  do {
#pragma unroll
    for (int b = 0; b < Blocks; ++b) a.low[b] = peek4(from + b * 512), a.high[b] = peek4(from + b * 512 + 256);
  } while (a.incomplete());
  return a;
}

// acc (16 rows x Tiles*8 outputs) = activations x weights over this warp's slice of the inputs.
template <int Tiles, int Blocks, int Q, int Stage>
__device__ __forceinline__ void gemm(float (&acc)[Tiles][4], const Slice<Blocks>& a, uint32_t ring, int stages,
                                     Small& s, Cursor& at, int warp, int lane) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t) acc[t][0] = acc[t][1] = acc[t][2] = acc[t][3] = 0.f;
  constexpr int kChunks = Tiles * Blocks / Q;
  uint4 w[2][Q];
  uint32_t held[2];
  auto fetch = [&](uint4(&to)[Q], uint32_t& stage) {
    stage = at.stage;
    mbar_wait(smem_u32(&s.full[stage]), at.parity);
    const uint32_t b = ring + stage * Stage + warp * (Q * 512) + lane * 16;
#pragma unroll
    for (int i = 0; i < Q; ++i) to[i] = lds128(b + i * 512);
    at.advance(stages);
  };
  fetch(w[0], held[0]);
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    if (c + 1 < kChunks) fetch(w[(c + 1) & 1], held[(c + 1) & 1]);
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      const int t = (c * Q + i) % Tiles, b = (c * Q + i) / Tiles;
      mma(acc[t], a.low[b].x, a.high[b].x, a.low[b].y, a.high[b].y, w[c & 1][i].x, w[c & 1][i].y);
    }
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      const int t = (c * Q + i) % Tiles, b = (c * Q + i) / Tiles;
      mma(acc[t], a.low[b].z, a.high[b].z, a.low[b].w, a.high[b].w, w[c & 1][i].z, w[c & 1][i].w);
    }
    __syncwarp();
    if (lane == 0) mbar_arrive(smem_u32(&s.empty[held[c & 1]]));
  }
}

// Writes this warp's partial tiles to the split-K scratch and lets all see them. A barrier since the last gather is the
// caller's duty.
template <int Tiles>
__device__ __forceinline__ void spill(const float (&acc)[Tiles][4], uint8_t* scratch, int warp, int lane) {
#pragma unroll
  for (int t = 0; t < Tiles; ++t)
    *reinterpret_cast<float4*>(scratch + ((warp * Tiles + t) * 32 + lane) * 16) =
        make_float4(acc[t][0], acc[t][1], acc[t][2], acc[t][3]);
  sync_consumers();
}
template <int Tiles>
__device__ __forceinline__ float4 gather(const uint8_t* scratch, int tile, int lane) {
  float4 r = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int w = 0; w < 8; ++w) {
    float4 v = *reinterpret_cast<const float4*>(scratch + ((w * Tiles + tile) * 32 + lane) * 16);
    r.x += v.x, r.y += v.y, r.z += v.z, r.w += v.w;
  }
  return r;
}

template <int T>
__global__ void __launch_bounds__(kThreads, 1) kernel(const __grid_constant__ Params p) {
#if __CUDA_ARCH__ >= 900
  using P = Plan<T>;
  using L = Layout<T>;
  extern __shared__ __align__(128) uint8_t smem[];
  uint8_t* act = smem;
  float* mod_s = reinterpret_cast<float*>(smem + L::kMod);
  float* recv = reinterpret_cast<float*>(smem + L::kRecv);
  Small& s = *reinterpret_cast<Small*>(smem + L::kSmall);
  uint8_t* ring = smem + Ring<T>::kOffset;
  const uint32_t ring_a = smem_u32(ring), act_a = smem_u32(act), query_a = smem_u32(smem + L::kQuery);
  const int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31;
  const int cta = blockIdx.x, rank = cta & 7, cluster = cta >> 3, clusters = p.clusters, ctas = clusters * 8;
  const bool has_head = cluster < kHeads;
  const int kv_cta = cta - 64, kv_ctas = ctas - 64;
  const int prefix = p.prefix;
  const int per = (prefix + 7) / 8;
  const int key0 = min(rank * per, prefix), nkeys = min(per, prefix - key0);  // this rank's cached keys
  const int pages = (per + 2 + kPage - 1) / kPage;                            // with two action rows behind them
  const int own_slots = (T - 1 - rank) / 8 + 1;                               // owned tiles: slots rank, rank + 8

  if (tid == 0) {
    for (int i = 0; i < p.stages; ++i) mbar_init(smem_u32(&s.full[i]), 1), mbar_init(smem_u32(&s.empty[i]), 8);
    mbar_init(smem_u32(&s.recv_q), 1);
    mbar_init(smem_u32(&s.recv_o), 1);
    mbar_init(smem_u32(&s.recv_c), 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    mbar_expect(smem_u32(&s.recv_q), 8192);
    mbar_expect(smem_u32(&s.recv_o), kRecvOBytes);
    mbar_expect(smem_u32(&s.recv_c), own_slots * 4096);
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
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");

  if (warp == 8) {  // ---- producer ----
    uint64_t stream_policy, keep_policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(stream_policy));
    asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(keep_policy));
    Cursor at, landed;
    at.parity = 1;  // the first round waits for nothing
    int flying = 0;
    auto open = [&](uint32_t bytes) {
      if (flying == p.inflight) {
        mbar_wait(smem_u32(&s.full[landed.stage]), landed.parity);
        landed.advance(p.stages);
      } else {
        ++flying;
      }
      const uint32_t stage = at.stage;
      mbar_wait(smem_u32(&s.empty[stage]), at.parity);
      at.advance(p.stages);
      if (lane == 0) mbar_expect(smem_u32(&s.full[stage]), bytes);
      __syncwarp();
      return stage;
    };
    for (int step = 0; step < p.steps; ++step)
      for (int layer = 0; layer < p.layers; ++layer) {
        const uint8_t* src = p.weights + (size_t(layer) * ctas + cta) * P::kLayerBytes;
        auto chunks = [&](int count, uint32_t bytes) {
          for (int c = 0; c < count; ++c, src += bytes) {
            const uint32_t stage = open(bytes);
            if (lane == 0) bulk_load(ring_a + stage * L::kStage, src, bytes, smem_u32(&s.full[stage]), stream_policy);
          }
        };
        chunks(has_head ? P::kQueryChunks : P::kKvChunks, P::kChunk1);
        if (has_head)
          for (int page = 0; page < pages; ++page) {
            const int count = max(0, min(kPage, nkeys - page * kPage));
            const uint32_t stage = open(count * 1024);
            const int row = lane & (kPage - 1), value = lane / kPage;
            if (row < count)
              bulk_load(
                  ring_a + stage * L::kStage + (value ? kPage * kStrideQ + row * kStrideV : row * kStrideQ),
                  (value ? p.v_cache : p.k_cache) + (size_t(layer) * p.cache_rows + key0 + page * kPage + row) * kDim,
                  512, smem_u32(&s.full[stage]), keep_policy);
          }
        chunks(P::kOutChunks, P::kChunk2);
        chunks(P::kUpChunks, P::kChunk1);
        chunks(P::kDownChunks, P::kChunk2);
      }
  } else {  // ---- consumers ----
    Cursor at;
    int turn = 0;                 // which copy of the mail
    uint32_t odd = 0, odd_c = 0;  // phases of the receive barriers
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
      if (owner && (tid & 127) < 48) clear4(&m.x[frag >> 4][place(frag & 15, own * 8)]);
      if (has_head && tid >= 48 && tid < 112) {
        const int i = tid - 48;
        clear4(&m.att[(cluster * kDim + rank * 32) * kRows + i * 8]);
      }
      if (!has_head && tid >= 176) {
        const int i = (tid - 176), tile = kv_cta + (i >> 5) * kv_ctas;  // 64 of 80: rows x halves of up to two tiles
        if (i < 64 && tile < kKvTiles)
          post2(&m.kv[tile >> 5][i & 15][(tile & 31) * 4 + ((i >> 4) & 1) * 128], kEmpty, kEmpty);
      }
      if (cta < 64 && tid >= 112 && tid < 120) post(&m.v[(cta >> 5) * 8 + tid - 112][cta & 31], kEmpty);
      for (int i = tid; i < T * kRows; i += kConsumers) {
        const int unit = cta + (i >> 4) * ctas;
        if (unit < 1024) post2(&m.h[place(i & 15, unit * 4)], kEmpty, kEmpty);
      }
    };
    // one warp watches one word of every writer, then all read
    auto watch = [&](auto address, int count) {
      if (warp == 0) {
        bool again;
        do {
          again = false;
          for (int i = lane; i < count; i += 32) again |= empty(peek(address(i)));
        } while (again);
      }
      sync_consumers();
    };
    // scale and shift of a coming norm -> mod_s
    auto prefetch_mod = [&](int step, int index) {
      const float* src = mod_at(step, index);
#pragma unroll
      for (int i = 0; i < 2; ++i)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(smem_u32(mod_s + (i * 256 + tid) * 4)),
                     "l"(src + (i * 256 + tid) * 4)
                     : "memory");
      asm volatile("cp.async.commit_group;" ::: "memory");
    };
    // rmsnorm(x) * (1 + scale) + shift, this warp's 128 columns
    auto norm = [&](const __nv_bfloat16* x) {
      watch([&](int i) { return &x[place(15, i * 8 + 6)]; }, 128);
      Slice<4> a = receive<4>(x, warp * 128, lane);
      auto square = [](uint4 v) {
        return (lo(v.x) * lo(v.x) + hi(v.x) * hi(v.x) + lo(v.y) * lo(v.y) + hi(v.y) * hi(v.y)) +
               (lo(v.z) * lo(v.z) + hi(v.z) * hi(v.z) + lo(v.w) * lo(v.w) + hi(v.w) * hi(v.w));
      };
      float low = (square(a.low[0]) + square(a.low[1])) + (square(a.low[2]) + square(a.low[3]));
      float high = (square(a.high[0]) + square(a.high[1])) + (square(a.high[2]) + square(a.high[3]));
      low += __shfl_xor_sync(~0u, low, 1), high += __shfl_xor_sync(~0u, high, 1);
      low += __shfl_xor_sync(~0u, low, 2), high += __shfl_xor_sync(~0u, high, 2);
      if ((lane & 3) == 0) s.squares[warp][lane >> 2] = low, s.squares[warp][(lane >> 2) + 8] = high;
      asm volatile("cp.async.wait_all;" ::: "memory");
      sync_consumers();
      low = high = 0.f;
#pragma unroll
      for (int w = 0; w < 8; ++w) low += s.squares[w][lane >> 2], high += s.squares[w][(lane >> 2) + 8];
      low = rsqrtf(low * (1.f / kWidth) + 1e-6f), high = rsqrtf(high * (1.f / kWidth) + 1e-6f);
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const float4* m = reinterpret_cast<const float4*>(mod_s + warp * 128 + b * 32 + (lane & 3) * 8);
        const float4 c0 = m[0], c1 = m[1], h0 = m[kWidth / 4], h1 = m[kWidth / 4 + 1];
        auto turn = [&](uint4& u, float i) {
          u.x = pack(lo(u.x) * i * (1.f + c0.x) + h0.x, hi(u.x) * i * (1.f + c0.y) + h0.y);
          u.y = pack(lo(u.y) * i * (1.f + c0.z) + h0.z, hi(u.y) * i * (1.f + c0.w) + h0.w);
          u.z = pack(lo(u.z) * i * (1.f + c1.x) + h1.x, hi(u.z) * i * (1.f + c1.y) + h1.y);
          u.w = pack(lo(u.w) * i * (1.f + c1.z) + h1.z, hi(u.w) * i * (1.f + c1.w) + h1.w);
        };
        turn(a.low[b], low);
        turn(a.high[b], high);
      }
      return a;
    };
    auto post_x = [&](__nv_bfloat16* x) {
      const float other = __shfl_xor_sync(~0u, x_own, 1);
      if (owner && !(tid & 1)) post(&x[place(frow, fcol)], pack(x_own, other));
    };
    // sums a split-K product over warps and ranks; residual += gate * sum
    auto reduce_residual = [&](float (&acc)[T][4], float gate, __nv_bfloat16* x) {
      spill<T>(acc, act, warp, lane);
#pragma unroll
      for (int t = 0; t < (T + 7) / 8; ++t) {
        const int tile = t * 8 + warp;
        if (tile < T) {
          const float4 v = gather<T>(act, tile, lane);
          st_async4(map_rank(smem_u32(recv + t * 1024 + rank * 128 + lane * 4), warp), bits(v.x, v.y, v.z, v.w),
                    map_rank(smem_u32(&s.recv_c), warp));
        }
      }
      mbar_wait_cluster(smem_u32(&s.recv_c), odd_c);
      odd_c ^= 1;
      if (slot < T) {
        float sum = 0.f;
#pragma unroll
        for (int r = 0; r < 8; ++r) sum += recv[(tid >> 7) * 1024 + r * 128 + frag];
        x_own += gate * sum;
      }
      post_x(x);
      if (tid == 0) mbar_expect(smem_u32(&s.recv_c), own_slots * 4096);
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
      return make_uint4(pack(o.x, __shfl_down_sync(~0u, o.x, 1)), pack(o.y, __shfl_down_sync(~0u, o.y, 1)),
                        pack(o.z, __shfl_down_sync(~0u, o.z, 1)), pack(o.w, __shfl_down_sync(~0u, o.w, 1)));
    };

    prefetch_mod(0, 0);
    embed(p.mail[1]);
    for (int step = 0; step < p.steps; ++step) {
      for (int layer = 0; layer < p.layers; ++layer) {
        Mail &now = p.mail[turn], &before = p.mail[turn ^ 1];
        turn ^= 1;
        // -- queries (clusters 0..7), keys and values (the others) --
        float gate = gate_at(step, 2 * layer);
        Slice<4> a = norm(layer == 0 ? before.x[2] : before.x[1]);
        if (has_head) {
          float acc[P::kQuery][4];
          gemm<P::kQuery, 4, P::kQ1, L::kStage>(acc, a, ring_a, p.stages, s, at, warp, lane);
          spill<P::kQuery>(acc, act, warp, lane);
          prefetch_mod(step, 2 * layer + 1);
          if (warp < P::kQuery) {  // pair 4*warp + t: columns 16*rank + pair and 128 further
            const uint4 n = neighbours(turn_pairs(gather<P::kQuery>(act, warp, lane), warp));
            if (!(lane & 1)) {  // (row, half, 16 columns)
              uint32_t* to = reinterpret_cast<uint32_t*>(s.stage_q) + (lane >> 2) * 16 + warp * 2 + ((lane & 3) >> 1);
              to[0] = n.x, to[8] = n.y, to[128] = n.z, to[136] = n.w;
            }
          }
          sync_consumers();
          {  // to every rank: 64 pieces of 16 bytes
            const int piece = tid & 63, row = piece >> 2, half = (piece >> 1) & 1, part = piece & 1;
            const uint4 v = s.stage_q[piece];
            const uint32_t to = query_a + row * kStrideQ + half * 256 + rank * 32 + part * 16;
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              const int r = (tid >> 6) * 2 + i;
              st_async4(map_rank(to, r), v, map_rank(smem_u32(&s.recv_q), r));
            }
          }
          // -- attention over this rank's keys --
          mbar_wait_cluster(smem_u32(&s.recv_q), odd);
          Cursor page = at;
          for (int i = 0; i < pages; ++i) {
            mbar_wait(smem_u32(&s.full[page.stage]), page.parity);
            page.advance(p.stages);
          }
          auto page_at = [&](int i) {
            int stage = at.stage + i;
            return ring_a + (stage >= p.stages ? stage - p.stages : stage) * L::kStage;
          };
          float* scores = reinterpret_cast<float*>(act + kScoreOff);
          auto score = [&](int tile) {  // 8 keys
            float a0[4] = {0, 0, 0, 0}, a1[4] = {0, 0, 0, 0};
            const uint32_t qa = query_a + (lane >> 2) * kStrideQ + (lane & 3) * 16;
            const uint32_t ka = page_at(tile >> 1) + ((tile & 1) * 8 + (lane >> 2)) * kStrideQ + (lane & 3) * 16;
#pragma unroll
            for (int b = 0; b < 8; ++b) {
              const uint4 l4 = lds128(qa + b * 64), h4 = lds128(qa + 8 * kStrideQ + b * 64), k4 = lds128(ka + b * 64);
              mma(a0, l4.x, h4.x, l4.y, h4.y, k4.x, k4.y);
              mma(a1, l4.z, h4.z, l4.w, h4.w, k4.z, k4.w);
            }
            float* to = scores + (lane >> 2) * kMaxKeys + tile * 8 + 2 * (lane & 3);
            *reinterpret_cast<float2*>(to) = make_float2(a0[0] + a1[0], a0[1] + a1[1]);
            *reinterpret_cast<float2*>(to + 8 * kMaxKeys) = make_float2(a0[2] + a1[2], a0[3] + a1[3]);
          };
          const int late = nkeys >> 3, tiles = (nkeys + 2 + 7) >> 3;  // tiles from `late` on hold action rows
          for (int tile = warp; tile < late; tile += 8) score(tile);
          if (tid < 128) {  // action rows 2*rank, 2*rank + 1: keys, then values
            const int row = (tid >> 5) & 1, what = tid >> 6;
            uint4 v;
            do v = peek4(&now.kv[what][2 * rank + row][lane * 8]);
            while (empty(v));
            const int key = nkeys + row;
            const uint32_t to = page_at(key >> 4) +
                                (what ? kPage * kStrideQ + (key & 15) * kStrideV : (key & 15) * kStrideQ) + lane * 16;
            asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                         : "memory");
          }
          sync_consumers();
          if (warp < tiles - late) score(late + warp);
          sync_consumers();
          const int total = nkeys + max(0, min(2, p.rows - 2 * rank));
          {  // softmax over this rank's keys, two rows a warp
            float e[2][4], top[2] = {-1e30f, -1e30f}, sum[2] = {0.f, 0.f};
#pragma unroll
            for (int r = 0; r < 2; ++r)
#pragma unroll
              for (int i = 0; i < 4; ++i) {
                e[r][i] = lane + 32 * i < total ? scores[(2 * warp + r) * kMaxKeys + lane + 32 * i] * 0.0625f : -1e30f;
                top[r] = fmaxf(top[r], e[r][i]);
              }
#pragma unroll
            for (int o = 16; o > 0; o >>= 1) {
              top[0] = fmaxf(top[0], __shfl_xor_sync(~0u, top[0], o));
              top[1] = fmaxf(top[1], __shfl_xor_sync(~0u, top[1], o));
            }
#pragma unroll
            for (int r = 0; r < 2; ++r) {
              __nv_bfloat16* to = reinterpret_cast<__nv_bfloat16*>(act + kProbOff + (2 * warp + r) * kStrideP);
#pragma unroll
              for (int i = 0; i < 4; ++i) {
                const float w = lane + 32 * i < total ? __expf(e[r][i] - top[r]) : 0.f;
                sum[r] += w;
                to[lane + 32 * i] = __float2bfloat16(w);
              }
            }
#pragma unroll
            for (int o = 16; o > 0; o >>= 1) {
              sum[0] += __shfl_xor_sync(~0u, sum[0], o);
              sum[1] += __shfl_xor_sync(~0u, sum[1], o);
            }
            if (lane < 2) s.stat[2 * warp + lane][0] = top[lane], s.stat[2 * warp + lane][1] = sum[lane];
          }
          sync_consumers();
          float o[4][4] = {};
#pragma unroll 1
          for (int i = 0; i < pages; ++i) {
            const uint32_t pa = act_a + kProbOff + (lane >> 2) * kStrideP + i * 32 + (lane & 3) * 4;
            uint32_t a0, a1, a2, a3, b[4];
            asm volatile("ld.shared.u32 %0, [%1];" : "=r"(a0) : "r"(pa));
            asm volatile("ld.shared.u32 %0, [%1];" : "=r"(a1) : "r"(pa + 8 * kStrideP));
            asm volatile("ld.shared.u32 %0, [%1];" : "=r"(a2) : "r"(pa + 16));
            asm volatile("ld.shared.u32 %0, [%1];" : "=r"(a3) : "r"(pa + 8 * kStrideP + 16));
            const uint32_t va = page_at(i) + kPage * kStrideQ + (lane & 15) * kStrideV + warp * 64 + (lane >> 4) * 16;
            ldsm4t(b, va);
            mma(o[0], a0, a1, a2, a3, b[0], b[1]);
            mma(o[1], a0, a1, a2, a3, b[2], b[3]);
            ldsm4t(b, va + 32);
            mma(o[2], a0, a1, a2, a3, b[0], b[1]);
            mma(o[3], a0, a1, a2, a3, b[2], b[3]);
          }
          {  // warp w holds value columns [32w, 32w+32): rank w sums them
            const uint32_t bar = map_rank(smem_u32(&s.recv_o), warp);
            const uint32_t to = map_rank(act_a + rank * 2048 + lane * 16, warp);
#pragma unroll
            for (int t = 0; t < 4; ++t) st_async4(to + t * 512, bits(o[t][0], o[t][1], o[t][2], o[t][3]), bar);
            if (lane < kRows)
              st_async2(map_rank(act_a + 8 * 2048 + rank * 128 + lane * 8, warp), s.stat[lane][0], s.stat[lane][1],
                        bar);
          }
          if (lane == 0) asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
          __syncwarp();
          for (int i = 0; i < pages; ++i) {
            if (lane == 0) mbar_arrive(smem_u32(&s.empty[at.stage]));
            at.advance(p.stages);
          }
          mbar_wait_cluster(smem_u32(&s.recv_o), odd);
          odd ^= 1;
          if (tid == 0) {
            mbar_expect(smem_u32(&s.recv_q), 8192);
            mbar_expect(smem_u32(&s.recv_o), kRecvOBytes);
          }
          {
            const float* ro = reinterpret_cast<const float*>(act);
            if (tid < 128) {  // each rank's share of each row
              const int row = tid >> 3, r = tid & 7;
              const float m = ro[4096 + r * 32 + row * 2];
              float top = m;
#pragma unroll
              for (int i = 4; i > 0; i >>= 1) top = fmaxf(top, __shfl_xor_sync(~0u, top, i));
              const float w = __expf(m - top);
              float l = w * ro[4096 + r * 32 + row * 2 + 1];
#pragma unroll
              for (int i = 4; i > 0; i >>= 1) l += __shfl_xor_sync(~0u, l, i);
              s.share[r][row] = w / l;
            }
            sync_consumers();
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              const int e = i * 256 + tid, f = e & 127, row = (f >> 4) + 8 * ((f >> 1) & 1);
              float out = 0.f;
#pragma unroll
              for (int r = 0; r < 8; ++r) out += s.share[r][row] * ro[r * 512 + e];
              const float other = __shfl_xor_sync(~0u, out, 1);
              if (!(tid & 1))
                post(&now.att[place(row, cluster * kDim + rank * 32 + (e >> 7) * 8 + 2 * ((f >> 2) & 3))],
                     pack(out, other));
            }
            sync_consumers();
          }
        } else {
          float acc[P::kKv][4];
          gemm<P::kKv, 4, P::kQ1, L::kStage>(acc, a, ring_a, p.stages, s, at, warp, lane);
          spill<P::kKv>(acc, act, warp, lane);
          prefetch_mod(step, 2 * layer + 1);
          const int tile = kv_cta + warp * kv_ctas;
          if (warp < P::kKv) {
            const uint4 n = neighbours(turn_pairs(gather<P::kKv>(act, warp, lane), warp));
            if (!(lane & 1) && tile < kKvTiles) {
              __nv_bfloat16* to = &now.kv[tile >> 5][lane >> 2][(tile & 31) * 4 + (lane & 3)];
              post(to, n.x), post(to + 128, n.y), post(to + 8 * kDim, n.z), post(to + 8 * kDim + 128, n.w);
            }
          }
          sync_consumers();
        }
        // -- o_proj: rank r takes head r --
        {
          watch([&](int i) { return &now.att[place(15, rank * kDim + i * 32 + 30)]; }, 8);
          const Slice<1> o = receive<1>(now.att, rank * kDim + warp * 32, lane);
          float acc[T][4];
          gemm<T, 1, P::kQ2, L::kStage>(acc, o, ring_a, p.stages, s, at, warp, lane);
          reduce_residual(acc, gate, now.x[0]);
        }
        // -- gate and up --
        gate = gate_at(step, 2 * layer + 1);
        a = norm(now.x[0]);
        {
          float acc[T][4];
          gemm<T, 4, P::kQ1, L::kStage>(acc, a, ring_a, p.stages, s, at, warp, lane);
          spill<T>(acc, act, warp, lane);
          prefetch_mod(step, 2 * layer + 2);
#pragma unroll
          for (int t = 0; t < (T + 7) / 8; ++t) {
            const int tile = t * 8 + warp, unit = cta + tile * ctas;
            if (tile < T && unit < 1024) {
              const float4 r = gather<T>(act, tile, lane);
              const float u = gelu(r.x) * r.y, v = gelu(r.z) * r.w;
              const float u1 = __shfl_down_sync(~0u, u, 1), v1 = __shfl_down_sync(~0u, v, 1);
              __nv_bfloat16* to = &now.h[place(lane >> 2, unit * 4 + (lane & 3))];  // 8 rows further: 256 elements
              if (!(lane & 1)) post(to, pack(u, u1)), post(to + 256, pack(v, v1));
            }
          }
        }
        clear(before);
        // -- down: rank r takes inputs [512r, 512r + 512) --
        {
          watch([&](int i) { return &now.h[place(15, rank * 512 + i * 4 + 2)]; }, 128);
          const Slice<2> h = receive<2>(now.h, rank * 512 + warp * 64, lane);
          float acc[T][4];
          gemm<T, 2, P::kQ2, L::kStage>(acc, h, ring_a, p.stages, s, at, warp, lane);
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
        if (lane == 0) post(&last.v[row][out], __float_as_uint(sum + p.out_b[out]));
      }
      for (int i = tid; i < kRows * kActionDim; i += kConsumers) {
        uint32_t v;
        do v = peek(&last.v[0][i]);
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
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
#endif
}
}  // namespace pi05::expert
