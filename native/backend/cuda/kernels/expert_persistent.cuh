// One persistent kernel for all flow steps of the action expert: compute capability 9.0, batch 1, up to 16 action rows.
//
// Launch: clusters of 8 blocks, one block per SM, all resident at once; 8 consumer warps and a producer warp per block.
// Per layer and block:
//   producer   streams this block's share of the weights, and of the prefix's keys and values, through a ring of
//              shared-memory stages
//   consumers  adaptive RMSNorm, QKV projection, attention (one head per cluster), o_proj, adaptive RMSNorm,
//              gate+up with GELU, down
// Blocks communicate through distributed shared memory within a cluster, and through ExchangeBuffer in L2 between
// clusters.
#pragma once

#include "backend/cuda/kernels/expert_attention.cuh"
#include "backend/cuda/kernels/expert_producer.cuh"
#include "backend/cuda/kernels/expert_residual.cuh"

namespace pi05::expert {

// Chunks of gate+up that a warp loads before it waits for the activations; more would delay the exchange (measured).
constexpr int kUpAhead = 2;

// Initialises mbarriers, pipeline stages, the RoPE table and x of the flow. Called by all threads of the cluster.
template <bool FrozenRows, int OwnedTiles>
__device__ __forceinline__ void initialise(const Context<OwnedTiles>& ctx, uint8_t* ring) {
  const KernelParams& p = ctx.p;
  SharedState& state = ctx.state;
  if (ctx.thread == 0) {
    for (int i = 0; i < p.stages; ++i)
      ptx::mbarrier_init(ptx::smem_address(&state.full[i]), 1),
          ptx::mbarrier_init(ptx::smem_address(&state.empty[i]), 8);
    ptx::mbarrier_init(ptx::smem_address(&state.queries_arrived), 1);
    ptx::mbarrier_init(ptx::smem_address(&state.outputs_arrived), 1);
    ptx::mbarrier_init(ptx::smem_address(&state.partials_arrived), 1);
    ptx::fence_mbarrier_init();
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&state.queries_arrived), kQueryBytes);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&state.outputs_arrived), kOutputBytes);
    ptx::mbarrier_arrive_expect_tx(ptx::smem_address(&state.partials_arrived), ctx.own_slots * kSlotBytes);
  }
  // Rows of a page that no copy fills get weight 0 and must be finite: 0 times NaN is NaN.
  for (int i = ctx.thread; i < p.stages * SharedLayout<OwnedTiles>::kStageBytes / 16; i += kThreads)
    reinterpret_cast<uint4*>(ring)[i] = make_uint4(0, 0, 0, 0);
  for (int i = ctx.thread; i < 16 * kRows; i += kThreads) {
    int pair = i / kRows, row = i % kRows;
    int index = ctx.rank * 16 + pair;  // rotary pair of the head; from kDim / 2 on: of the values, not rotated
    double angle = 0, sine, cosine;
    if (!ctx.has_head) index = (ctx.kv_block + (pair >> 2) * ctx.kv_blocks) * 4 + (pair & 3);
    if (index < kDim / 2) angle = double(p.prefix_tokens + row) * pow(10000.0, -double(index) / (kDim / 2));
    sincos(angle, &sine, &cosine);
    state.cos_sin[pair][row][0] = (float)cosine;
    state.cos_sin[pair][row][1] = (float)sine;
  }
  for (int i = ctx.thread; i < kRows * kActionDim; i += kThreads) {
    const bool frozen = FrozenRows && is_frozen(p, i / kActionDim);
    state.x[0][i] = i < p.rows * kActionDim ? (frozen ? p.prev_chunk : p.noise)[i] : 0.f;
  }
  ptx::fence_proxy_async_shared();
  ptx::barrier_cluster_arrive(), ptx::barrier_cluster_wait();
}

// Reduces and publishes the keys and values of the action rows: a tile per warp.
template <int OwnedTiles>
__device__ __forceinline__ void publish_keys_values(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer) {
  constexpr int kTiles = WeightLayout<OwnedTiles>::kBlockKvTiles;
  const int tile = ctx.kv_block + ctx.warp * ctx.kv_blocks;
  if (ctx.warp < kTiles) {
    const uint4 packed_pairs =
        pack_with_next_lane(rotate_pairs(ctx, reduce_partials<kTiles>(ctx.scratch, ctx.warp, ctx.lane), ctx.warp));
    if (!(ctx.lane & 1) && tile < kKvTiles) {
      __nv_bfloat16* words = &buffer.kv[tile >> 5][ctx.lane >> 2][(tile & 31) * 4 + (ctx.lane & 3)];
      publish(words, packed_pairs.x), publish(words + kDim / 2, packed_pairs.y);
      publish(words + 8 * kDim, packed_pairs.z), publish(words + 8 * kDim + kDim / 2, packed_pairs.w);
    }
  }
  sync_consumers();
}

// Reduces gate and up, and publishes gelu(gate) * up.
template <int OwnedTiles>
__device__ __forceinline__ void publish_geglu(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer) {
#pragma unroll
  for (int t = 0; t < (OwnedTiles + 7) / 8; ++t) {
    const int tile = t * 8 + ctx.warp, unit = ctx.block + tile * ctx.blocks;
    if (tile < OwnedTiles && unit < kMlpTiles) {
      const float4 gate_up = reduce_partials<OwnedTiles>(ctx.scratch, tile, ctx.lane);  // of two rows, 8 apart
      const float low = kernels::gelu_tanh_expf(gate_up.x) * gate_up.y;
      const float high = kernels::gelu_tanh_expf(gate_up.z) * gate_up.w;
      const float next_low = __shfl_down_sync(~0u, low, 1), next_high = __shfl_down_sync(~0u, high, 1);
      __nv_bfloat16* words = &buffer.hidden[fragment_offset(ctx.lane >> 2, unit * 4 + (ctx.lane & 3))];
      // In fragment order the row 8 further is 256 elements further.
      if (!(ctx.lane & 1))
        publish(words, packed<bf16>(low, next_low)), publish(words + 256, packed<bf16>(high, next_high));
    }
  }
}

// Publishes action_out of the normalised residual, which is in the scratch area. A block computes one output of 8 rows.
template <int OwnedTiles>
__device__ __forceinline__ void publish_velocity(const Context<OwnedTiles>& ctx, ExchangeBuffer& buffer) {
  const int warp = ctx.warp, lane = ctx.lane;
  if (ctx.block < 2 * kActionDim) {
    const int row = (ctx.block >> 5) * 8 + warp, out = ctx.block & 31;
    float sum = 0.f;
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      const int k = j * 64 + lane * 2;
      const uint32_t x = *reinterpret_cast<uint32_t*>(ctx.scratch + row * kActivationStride + k * 2);
      const float2 w = *reinterpret_cast<const float2*>(ctx.p.action_out + out * kWidth + k);
      sum += low_half(x) * w.x + high_half(x) * w.y;
    }
#pragma unroll
    for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
    if (lane == 0) publish(&buffer.velocity[row][out], __float_as_uint(sum + ctx.p.action_out_bias[out]));
  }
}

// Waits for all velocities and computes the guided Euler step (see ReferenceOps::euler_step), the same in every block.
template <bool FrozenRows, int OwnedTiles>
__device__ __forceinline__ void euler_step(const Context<OwnedTiles>& ctx, const ExchangeBuffer& buffer, int step) {
  const KernelParams& p = ctx.p;
  for (int i = ctx.thread; i < kRows * kActionDim; i += kConsumers) {
    uint32_t word;
    do word = poll(&buffer.velocity[0][i]);
    while (is_empty(word));
    if (i < p.rows * kActionDim) {
      const float x = ctx.state.x[0][i], raw = __uint_as_float(word);
      const float error = (p.prev_chunk[i] - (x - p.times[step] * raw)) * p.prefix_weights[i / kActionDim];
      const float velocity = raw - p.guidance_weights[step] * error;
      const bool frozen = FrozenRows && is_frozen(p, i / kActionDim);
      ctx.state.x[0][i] = frozen ? p.prev_chunk[i] : x + p.dt * velocity;
      if (ctx.block == 0) p.velocities[step * p.rows * kActionDim + i] = velocity;
    }
  }
}

template <bool FrozenRows, int OwnedTiles>
__device__ __forceinline__ void consume(Context<OwnedTiles>& ctx) {
  using W = WeightLayout<OwnedTiles>;
  const KernelParams& p = ctx.p;
  PipelineState pipe;
  uint32_t attention_phase = 0;
  int parity = 0;  // index of the exchange buffer of the next layer
  Residual<OwnedTiles> residual(ctx, FrozenRows);

  prefetch_modulation<FrozenRows>(ctx, 0, 0);
  residual.embed(ctx, p.exchange[1]);
  for (int step = 0; step < p.steps; ++step) {
    for (int layer = 0; layer < p.layers; ++layer) {
      ExchangeBuffer &current = p.exchange[parity], &previous = p.exchange[parity ^ 1];
      parity ^= 1;
      float gate = residual.gate(ctx, step, 2 * layer);
      // Keeps the compiler from computing addresses once for all layers: there are no registers to hold them.
      asm volatile("" : "+r"(ctx.thread), "+r"(ctx.warp), "+r"(ctx.lane));
      // ---- QKV projection and attention ----
      uint4 qkv_ahead[W::kQueryChunks][W::kWideTiles];
      load_chunk(qkv_ahead[0], ctx, pipe);
      load_chunk(qkv_ahead[1], ctx, pipe);
      if (ctx.has_head) {
        load_chunk(qkv_ahead[2], ctx, pipe);
        load_chunk(qkv_ahead[3], ctx, pipe);
      }
      Fragments<4> a =
          adaptive_rms_norm<FrozenRows>(ctx, layer == 0 ? previous.residual[kStepStart] : previous.residual[kAfterMlp]);
      if (ctx.has_head) {
        float acc[W::kQueryTiles][4];
        gemm(acc, a, qkv_ahead, ctx, pipe);
        store_partials<W::kQueryTiles>(acc, ctx.scratch, ctx.warp, ctx.lane);
        prefetch_modulation<FrozenRows>(ctx, step, 2 * layer + 1);
        attention(ctx, current, pipe, attention_phase);
      } else {
        float acc[W::kBlockKvTiles][4];
        gemm(acc, a, qkv_ahead, ctx, pipe);
        store_partials<W::kBlockKvTiles>(acc, ctx.scratch, ctx.warp, ctx.lane);
        prefetch_modulation<FrozenRows>(ctx, step, 2 * layer + 1);
        publish_keys_values(ctx, current);
      }
      // ---- o_proj: rank r multiplies the output of head r ----
      {
        uint4 ahead[W::kOutChunks][W::kSplitTiles];
#pragma unroll
        for (int i = 0; i < W::kOutChunks; ++i) load_chunk(ahead[i], ctx, pipe);
        wait_until_published(&current.attention[fragment_offset(15, ctx.rank * kDim + ctx.warp * 32 + 30)]);
        const Fragments<1> o = receive<1>(current.attention, ctx.rank * kDim + ctx.warp * 32, ctx.lane);
        float acc[OwnedTiles][4];
        gemm(acc, o, ahead, ctx, pipe);
        residual.add(ctx, acc, gate, current.residual[kAfterAttention]);
      }
      // ---- gate and up ----
      gate = residual.gate(ctx, step, 2 * layer + 1);
      {
        uint4 ahead[kUpAhead][W::kWideTiles];
#pragma unroll
        for (int i = 0; i < kUpAhead; ++i) load_chunk(ahead[i], ctx, pipe);
        a = adaptive_rms_norm<FrozenRows>(ctx, current.residual[kAfterAttention]);
        float acc[OwnedTiles][4];
        gemm(acc, a, ahead, ctx, pipe);
        store_partials<OwnedTiles>(acc, ctx.scratch, ctx.warp, ctx.lane);
        prefetch_modulation<FrozenRows>(ctx, step, 2 * layer + 2);
        publish_geglu(ctx, current);
      }
      residual.clear(ctx, previous);
      // ---- down: rank r multiplies inputs [512 r, 512 r + 512) ----
      {
        sync_consumers();  // all partials are reduced: the scratch area is free
        uint4 ahead[W::kDownChunks][W::kSplitTiles];
#pragma unroll
        for (int i = 0; i < W::kDownChunks; ++i) load_chunk(ahead[i], ctx, pipe);
        wait_until_published(
            &current.hidden[fragment_offset(15, ctx.rank * 512 + ctx.warp * 64 + (ctx.lane & 15) * 4 + 2)]);
        const Fragments<2> h = receive<2>(current.hidden, ctx.rank * 512 + ctx.warp * 64, ctx.lane);
        float acc[OwnedTiles][4];
        gemm(acc, h, ahead, ctx, pipe);
        residual.add(ctx, acc, gate, current.residual[kAfterMlp]);
      }
    }
    // ---- velocity and Euler step ----
    ExchangeBuffer& last = p.exchange[parity ^ 1];
    const Fragments<4> y = adaptive_rms_norm<FrozenRows>(ctx, last.residual[kAfterMlp]);
#pragma unroll
    for (int b = 0; b < 4; ++b) {
      uint8_t* words =
          ctx.scratch + (ctx.lane >> 2) * kActivationStride + (ctx.warp * 4 + b) * 64 + (ctx.lane & 3) * 16;
      *reinterpret_cast<uint4*>(words) = y.low[b];
      *reinterpret_cast<uint4*>(words + 8 * kActivationStride) = y.high[b];
    }
    sync_consumers();
    if (step + 1 < p.steps) prefetch_modulation<FrozenRows>(ctx, step + 1, 0);
    publish_velocity(ctx, last);
    euler_step<FrozenRows>(ctx, last, step);
    sync_consumers();
    if (step + 1 < p.steps) residual.embed(ctx, last);
  }
  if (ctx.block == 0)
    for (int i = ctx.thread; i < p.rows * kActionDim; i += kConsumers) p.actions[i] = ctx.state.x[0][i];
}

// FrozenRows: whether an action row may be frozen. Then the ring has less shared memory.
template <int OwnedTiles, bool FrozenRows>
__global__ void __launch_bounds__(kThreads, 1) kernel(const __grid_constant__ KernelParams p) {
  extern __shared__ __align__(128) uint8_t smem[];
  Context<OwnedTiles> ctx(p, smem);
  initialise<FrozenRows>(ctx, smem + p.ring_at);
  if (ctx.warp >= kConsumers / 32) {
    ptx::setmaxnreg_dec<kProducerRegisters>();
    if (ctx.warp == kConsumers / 32) produce(ctx);
  } else {
    ptx::setmaxnreg_inc<kConsumerRegisters>();
    consume<FrozenRows>(ctx);
  }
  // No block ends while others may still write into its shared memory.
  ptx::barrier_cluster_arrive(), ptx::barrier_cluster_wait();
}

}  // namespace pi05::expert
