// One persistent kernel for all flow steps of the action expert: compute capability 9.0, batch 1, up to 16 action rows.
//
// Launch: clusters of 8 blocks, one block per SM, all resident at once; 8 consumer warps and a producer warp per block.
// Per layer and block:
//   producer   streams this block's share of the weights, and of the prefix's keys and values, through a ring of
//              shared-memory stages
//   consumers  adaptive RMSNorm, QKV projection, attention (one head per cluster), o_proj, adaptive RMSNorm, gate+up
//   with
//              GELU, down
// Within a cluster, blocks communicate through distributed shared memory; between clusters through ExchangeBuffer in
// L2.
#pragma once

#include "backend/cuda/kernels/expert_attention.cuh"
#include "backend/cuda/kernels/expert_producer.cuh"
#include "backend/cuda/kernels/expert_residual.cuh"

namespace pi05::expert {

// Chunks of gate+up that a warp loads before its activations are there: more would delay the exchange.
constexpr int kUpAhead = 2;

// Barriers, RoPE table, the flow's start. All threads of the cluster.
template <int T>
__device__ __forceinline__ void initialise(const Context<T>& c, uint8_t* ring) {
  using L = SharedLayout<T>;
  const KernelParams& p = c.p;
  SharedState& s = c.s;
  if (c.thread == 0) {
    for (int i = 0; i < p.stages; ++i)
      ptx::mbarrier_init(ptx::smem_address(&s.full[i]), 1), ptx::mbarrier_init(ptx::smem_address(&s.empty[i]), 8);
    ptx::mbarrier_init(ptx::smem_address(&s.recv_q), 1);
    ptx::mbarrier_init(ptx::smem_address(&s.recv_o), 1);
    ptx::mbarrier_init(ptx::smem_address(&s.recv_c), 1);
    ptx::fence_mbarrier_init();
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_q), 8192);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_o), kRecvOBytes);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&s.recv_c), c.own_slots * 4096);
  }
  // Rows of a page that no copy fills have weight 0, and must be finite.
  for (int i = c.thread; i < p.stages * L::kStage / 16; i += kThreads)
    reinterpret_cast<uint4*>(ring)[i] = make_uint4(0, 0, 0, 0);
  for (int i = c.thread; i < 16 * kRows; i += kThreads) {
    int pair = i / kRows, row = i % kRows;
    int index = c.rank * 16 + pair;
    double angle = 0, sn, cs;
    // keys below 128, values from 128 on
    if (!c.has_head) index = (c.kv_block + (pair >> 2) * c.kv_blocks) * 4 + (pair & 3);
    if (index < 128) angle = double(p.prefix + row) * pow(10000.0, -double(index) / 128.0);
    sincos(angle, &sn, &cs);
    s.rope[pair][row][0] = (float)cs;
    s.rope[pair][row][1] = (float)sn;
  }
  for (int i = c.thread; i < kRows * kActionDim; i += kThreads) s.xt[0][i] = i < p.rows * kActionDim ? p.noise[i] : 0.f;
  ptx::fence_proxy_async_shared();
  ptx::barrier_cluster_arrive(), ptx::barrier_cluster_wait();
}

// Reduces and publishes the keys and values of the action rows: a tile per warp.
template <int T>
__device__ __forceinline__ void publish_keys_values(const Context<T>& c, ExchangeBuffer& now) {
  constexpr int kKv = WeightLayout<T>::kKv;
  const int tile = c.kv_block + c.warp * c.kv_blocks;
  if (c.warp < kKv) {
    const uint4 n = pack_with_next_lane(rotate_pairs(c, reduce_partials<kKv>(c.scratch, c.warp, c.lane), c.warp));
    if (!(c.lane & 1) && tile < kKvTiles) {
      __nv_bfloat16* to = &now.kv[tile >> 5][c.lane >> 2][(tile & 31) * 4 + (c.lane & 3)];
      publish(to, n.x), publish(to + 128, n.y), publish(to + 8 * kDim, n.z), publish(to + 8 * kDim + 128, n.w);
    }
  }
  sync_consumers();
}

// Reduces gate and up, and publishes gelu(gate) * up.
template <int T>
__device__ __forceinline__ void publish_geglu(const Context<T>& c, ExchangeBuffer& now) {
#pragma unroll
  for (int t = 0; t < (T + 7) / 8; ++t) {
    const int tile = t * 8 + c.warp, unit = c.block + tile * c.blocks;
    if (tile < T && unit < 1024) {
      const float4 r = reduce_partials<T>(c.scratch, tile, c.lane);
      const float u = kernels::gelu_tanh_expf(r.x) * r.y, v = kernels::gelu_tanh_expf(r.z) * r.w;
      const float u1 = __shfl_down_sync(~0u, u, 1), v1 = __shfl_down_sync(~0u, v, 1);
      // 8 rows further: 256 elements
      __nv_bfloat16* to = &now.h[fragment_offset(c.lane >> 2, unit * 4 + (c.lane & 3))];
      if (!(c.lane & 1)) publish(to, packed<bf16>(u, u1)), publish(to + 256, packed<bf16>(v, v1));
    }
  }
}

// action_out of the normalised residual y: 64 blocks compute 32 outputs x two halves of the rows, and publish them.
template <int T>
__device__ __forceinline__ void publish_velocity(const Context<T>& c, ExchangeBuffer& last) {
  const int warp = c.warp, lane = c.lane;
  if (c.block < 64) {
    const int row = (c.block >> 5) * 8 + warp, out = c.block & 31;
    float sum = 0.f;
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      const int k = j * 64 + lane * 2;
      const uint32_t a = *reinterpret_cast<uint32_t*>(c.scratch + row * kStrideX + k * 2);
      const float2 w = *reinterpret_cast<const float2*>(c.p.out_w + out * kWidth + k);
      sum += low_half(a) * w.x + high_half(a) * w.y;
    }
#pragma unroll
    for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
    if (lane == 0) publish(&last.v[row][out], __float_as_uint(sum + c.p.out_b[out]));
  }
}

// Waits for all velocities and takes the guided Euler step (see Ops::euler_step), the same in every block.
template <int T>
__device__ __forceinline__ void euler_step(const Context<T>& c, const ExchangeBuffer& last, int step) {
  const KernelParams& p = c.p;
  for (int i = c.thread; i < kRows * kActionDim; i += kConsumers) {
    uint32_t v;
    do v = poll(&last.v[0][i]);
    while (is_empty(v));
    if (i < p.rows * kActionDim) {
      const float x = c.s.xt[0][i], raw = __uint_as_float(v);
      const float error = (p.prev_chunk[i] - (x - p.times[step] * raw)) * p.prefix_weights[i / kActionDim];
      const float velocity = raw - p.guidance_weights[step] * error;
      c.s.xt[0][i] = x + p.dt * velocity;
      if (c.block == 0) p.velocities[step * p.rows * kActionDim + i] = velocity;
    }
  }
}

template <int T>
__device__ __forceinline__ void consume(Context<T>& c) {
  using W = WeightLayout<T>;
  const KernelParams& p = c.p;
  PipelineState pipe;
  uint32_t attention_phase = 0;
  int parity = 0;  // which of the two exchange buffers
  Residual<T> residual(c);

  prefetch_modulation(c, 0, 0);
  residual.embed(c, p.exchange[1]);
  for (int step = 0; step < p.steps; ++step) {
    for (int layer = 0; layer < p.layers; ++layer) {
      ExchangeBuffer &now = p.exchange[parity], &before = p.exchange[parity ^ 1];
      parity ^= 1;
      float gate = residual.gate(c, step, 2 * layer);
      // Keeps the compiler from computing addresses once for all layers: there are no registers to hold them.
      asm volatile("" : "+r"(c.thread), "+r"(c.warp), "+r"(c.lane));
      // ---- QKV projection and attention ----
      uint4 first[W::kQueryChunks][W::kWideTiles];
      load_chunk(first[0], c, pipe);
      load_chunk(first[1], c, pipe);
      if (c.has_head) {
        load_chunk(first[2], c, pipe);
        load_chunk(first[3], c, pipe);
      }
      Fragments<4> a = adaptive_rms_norm(c, layer == 0 ? before.x[2] : before.x[1]);
      if (c.has_head) {
        float acc[W::kQuery][4];
        gemm(acc, a, first, c, pipe);
        store_partials<W::kQuery>(acc, c.scratch, c.warp, c.lane);
        prefetch_modulation(c, step, 2 * layer + 1);
        attention(c, now, pipe, attention_phase);
      } else {
        float acc[W::kKv][4];
        gemm(acc, a, first, c, pipe);
        store_partials<W::kKv>(acc, c.scratch, c.warp, c.lane);
        prefetch_modulation(c, step, 2 * layer + 1);
        publish_keys_values(c, now);
      }
      // ---- o_proj: rank r multiplies the output of head r ----
      {
        uint4 ahead[W::kOutChunks][W::kSplitTiles];
#pragma unroll
        for (int i = 0; i < W::kOutChunks; ++i) load_chunk(ahead[i], c, pipe);
        wait_until_published(&now.att[fragment_offset(15, c.rank * kDim + c.warp * 32 + 30)]);
        const Fragments<1> o = receive<1>(now.att, c.rank * kDim + c.warp * 32, c.lane);
        float acc[T][4];
        gemm(acc, o, ahead, c, pipe);
        residual.add(c, acc, gate, now.x[0]);
      }
      // ---- gate and up ----
      gate = residual.gate(c, step, 2 * layer + 1);
      {
        uint4 ahead[kUpAhead][W::kWideTiles];
#pragma unroll
        for (int i = 0; i < kUpAhead; ++i) load_chunk(ahead[i], c, pipe);
        a = adaptive_rms_norm(c, now.x[0]);
        float acc[T][4];
        gemm(acc, a, ahead, c, pipe);
        store_partials<T>(acc, c.scratch, c.warp, c.lane);
        prefetch_modulation(c, step, 2 * layer + 2);
        publish_geglu(c, now);
      }
      residual.clear(c, before);
      // ---- down: rank r multiplies inputs [512 r, 512 r + 512) ----
      {
        sync_consumers();  // all partials are reduced: the scratch area is free
        uint4 ahead[W::kDownChunks][W::kSplitTiles];
#pragma unroll
        for (int i = 0; i < W::kDownChunks; ++i) load_chunk(ahead[i], c, pipe);
        wait_until_published(&now.h[fragment_offset(15, c.rank * 512 + c.warp * 64 + (c.lane & 15) * 4 + 2)]);
        const Fragments<2> h = receive<2>(now.h, c.rank * 512 + c.warp * 64, c.lane);
        float acc[T][4];
        gemm(acc, h, ahead, c, pipe);
        residual.add(c, acc, gate, now.x[1]);
      }
    }
    // ---- velocity and Euler step ----
    ExchangeBuffer& last = p.exchange[parity ^ 1];
    const Fragments<4> y = adaptive_rms_norm(c, last.x[1]);
#pragma unroll
    for (int b = 0; b < 4; ++b) {
      uint8_t* to = c.scratch + (c.lane >> 2) * kStrideX + (c.warp * 4 + b) * 64 + (c.lane & 3) * 16;
      *reinterpret_cast<uint4*>(to) = y.low[b];
      *reinterpret_cast<uint4*>(to + 8 * kStrideX) = y.high[b];
    }
    sync_consumers();
    if (step + 1 < p.steps) prefetch_modulation(c, step + 1, 0);
    publish_velocity(c, last);
    euler_step(c, last, step);
    sync_consumers();
    if (step + 1 < p.steps) residual.embed(c, last);
  }
  if (c.block == 0)
    for (int i = c.thread; i < p.rows * kActionDim; i += kConsumers) p.actions[i] = c.s.xt[0][i];
}

template <int T>
__global__ void __launch_bounds__(kThreads, 1) kernel(const __grid_constant__ KernelParams p) {
  extern __shared__ __align__(128) uint8_t smem[];
  Context<T> c(p, smem);
  initialise(c, smem + SharedLayout<T>::kRing);
  if (c.warp >= kConsumers / 32) {
    ptx::setmaxnreg_dec<40>();
    if (c.warp == kConsumers / 32) produce(c);
  } else {
    ptx::setmaxnreg_inc<232>();
    consume(c);
  }
  // No block ends while others may still write into its shared memory.
  ptx::barrier_cluster_arrive(), ptx::barrier_cluster_wait();
}

}  // namespace pi05::expert
