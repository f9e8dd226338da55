// Attention by wgmma and TMA; all scores of a block are in registers at once. Compute capability 9.0.
//
// Launch: grid (query tiles * splits, batch * kv_heads) in clusters of `splits` blocks, 1 or 2 warpgroups. The query
// heads that share a key head are rows of one matrix, 64 per warpgroup. The blocks of a cluster split the keys, at most
// 256 each. A block multiplies its probabilities by 64 columns (a panel) of the values at a time. The partial result of
// a warpgroup is a unit of 64 rows x 64 columns. While the next panel is multiplied, the unit is sent through
// distributed shared memory to the block that adds up the partial units of all blocks. Partial units already have their
// final weight and are fp16, which has three bits more than bf16.
#pragma once

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/ptx_sm90.cuh"

namespace pi05::kernels::attention_sm90_detail {

constexpr int kMaxSplits = 8;  // blocks per cluster
constexpr int kUnits = 8;      // 4 panels x 2 warpgroups: unit 2 * panel + warpgroup
constexpr int kUnitBytes = 64 * 64 * 2;
constexpr int kWarpUnitBytes = kUnitBytes / 4;  // 16 rows

struct AttentionSm90Maps {
  CUtensorMap q, k, v;                 // boxes of 64 columns of a head
  CUtensorMap q_rest, k_rest, v_rest;  // the 16 columns after them, in heads of 80
};

struct AttentionSm90Params {
  void* out;  // (batch * queries, heads * dim)
  int64_t out_stride;
  int queries, keys;           // per batch element
  int kv_heads, heads_per_kv;  // key heads, query heads per key head
  int tokens;                  // per warpgroup: its rows are (tokens, heads_per_kv)
  int dim;
  float scale;  // log2(e) / sqrt(dim)
  int splits;
  uint32_t owner, slot;        // 4 bits per unit: the rank that adds it up, its slot there
  uint32_t owned[kMaxSplits];  // of each rank: its units in the order of its slots, 4 bits each: 8 + unit, 0 at the end
  uint32_t heads_per_kv_inverse;  // 65536 / heads_per_kv, rounded up: r / heads_per_kv == r * this >> 16 for r < 64
};

// Dim: head_dim, rounded up. KeyTiles: 64 keys each, of a block.
template <int Dim, int Warpgroups, int KeyTiles>
struct AttentionSm90Tile {
  static constexpr int kThreads = 128 * Warpgroups, kKeys = 64 * KeyTiles;
  static constexpr int kPanels = Dim / 64;  // of 64 columns each
  static constexpr bool kRest = Dim % 64 != 0;
  static_assert(Dim % 64 == 0 || Dim % 64 == 16, "one narrow tile after those of 64 columns");
  static_assert((Dim == 256 && Warpgroups == 2) || (kPanels == 1 && Warpgroups == 1), "other widths have no clusters");
  // Bytes of 64 columns (128 bytes per row) and of the 16 columns after them (32 bytes per row).
  static constexpr int kQueryPanel = 64 * 128, kKeyPanel = kKeys * 128, kQueryRest = kRest ? 64 * 32 : 0,
                       kKeyRest = kRest ? kKeys * 32 : 0;
  static constexpr int kQueries = kPanels * kQueryPanel + kQueryRest;  // bytes of a warpgroup
  // The first kEarly value panels have their own shared memory; the others overwrite queries and keys that have been
  // read.
  static constexpr int kEarly = Dim != 256 ? kPanels : KeyTiles < 4 ? 2 : 1;
  static constexpr int kValuesAt = Warpgroups * kQueries, kKeysAt = kValuesAt + kEarly * kKeyPanel + kKeyRest;
  static constexpr int kEnd = kKeysAt + kPanels * kKeyPanel + kKeyRest;
  // These overwrite the keys: units being sent, then the partial units that this block adds up.
  static constexpr int kSentAt = kKeysAt + (kEarly + Warpgroups < kPanels ? kKeyPanel : 0);
  static constexpr int kSending = KeyTiles < 4 ? 2 : 1;  // units of a warpgroup being sent at once
  static constexpr int kPartialsAt = kSentAt + Warpgroups * kSending * kUnitBytes;
};

// The control area, before the tiles: mbarriers, then from each other block the logarithms of its row sums.
constexpr int kSumsAt = 256, kSumBytes = 128 * 4;  // 128 rows of a block
__host__ __device__ constexpr int control_bytes(int splits) {
  return (kSumsAt + (splits - 1) * kSumBytes + 1023) / 1024 * 1024;
}
// First mbarrier of: queries and keys of each panel; values of each panel; sums of other blocks for each warpgroup;
// partial units of each slot.
enum Barrier { kScores = 0, kValues = 4, kSums = 8, kPartials = 10 };
static_assert((kPartials + kUnits) * 8 <= kSumsAt, "mbarriers");
__device__ __forceinline__ uint32_t barrier(uint32_t control, int index) { return control + index * 8; }

__device__ __forceinline__ __half2 as_half2(uint32_t both) { return *reinterpret_cast<const __half2*>(&both); }

template <typename Value, int Dim, int Warpgroups, int KeyTiles>
__global__ void __launch_bounds__(128 * Warpgroups, 1)
    attention_sm90_kernel(const __grid_constant__ AttentionSm90Maps maps,
                          const __grid_constant__ AttentionSm90Params p) {
  using T = AttentionSm90Tile<Dim, Warpgroups, KeyTiles>;
  extern __shared__ __align__(1024) uint8_t shared[];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, group_thread = thread % 128;
  const int warpgroup = Warpgroups == 1 ? 0 : __shfl_sync(~0u, thread / 128, 0);
  const int splits = p.splits, rank = static_cast<int>(blockIdx.x) % splits;
  const int batch = static_cast<int>(blockIdx.y) / p.kv_heads, kv = static_cast<int>(blockIdx.y) % p.kv_heads;
  const int token0 = static_cast<int>(blockIdx.x) / splits * Warpgroups * p.tokens, key0 = rank * T::kKeys;
  const uint32_t control = ptx::smem_address(shared), tiles = control + control_bytes(splits);
  const uint32_t q_tile = tiles + warpgroup * T::kQueries, k_tile = tiles + T::kKeysAt, v_tile = tiles + T::kValuesAt;
  // The i-th panel that this block multiplies. The last is the one that it adds up (with up to 4 splits).
  const int first_panel = T::kPanels == 1 ? 0 : rank + 1;
  const auto panel_of = [&](int i) { return (first_panel + i) % T::kPanels; };
  const auto panel_address = [&](int i) {  // of the i-th value panel
    if (i < T::kEarly) return v_tile + i * T::kKeyPanel;
    if (i < T::kEarly + Warpgroups) return tiles + (i - T::kEarly) * T::kQueries;
    return k_tile;
  };
  const auto load_values = [&](int i) {
    ptx::tma_load_4d(panel_address(i), &maps.v, panel_of(i) * 64, kv, key0, batch, barrier(control, kValues + i));
  };

  pdl_trigger();
  if (thread == 0) {
    ptx::prefetch_tensormap(&maps.q), ptx::prefetch_tensormap(&maps.k), ptx::prefetch_tensormap(&maps.v);
    if (T::kRest)
      ptx::prefetch_tensormap(&maps.q_rest), ptx::prefetch_tensormap(&maps.k_rest),
          ptx::prefetch_tensormap(&maps.v_rest);
    for (int i = 0; i < T::kPanels; i++)
      ptx::mbarrier_init(barrier(control, kScores + i), 1), ptx::mbarrier_init(barrier(control, kValues + i), 1);
    ptx::fence_proxy_async_shared();
    pdl_wait();
    const int column_bytes = 2 * p.heads_per_kv * p.tokens;  // of a warpgroup's queries
    for (int i = 0; i < T::kPanels; i++) {
      const uint32_t bar = barrier(control, kScores + i);
      ptx::mbarrier_arrive_expect_tx(bar,
                                     Warpgroups * column_bytes * (T::kRest ? 80 : 64) + T::kKeyPanel + T::kKeyRest);
      for (int g = 0; g < Warpgroups; g++)
        ptx::tma_load_4d(tiles + g * T::kQueries + i * T::kQueryPanel, &maps.q, i * 64, kv * p.heads_per_kv,
                         token0 + g * p.tokens, batch, bar);
      ptx::tma_load_4d(k_tile + i * T::kKeyPanel, &maps.k, i * 64, kv, key0, batch, bar);
      if (T::kRest) {
        ptx::tma_load_4d(tiles + T::kQueryPanel, &maps.q_rest, 64, kv * p.heads_per_kv, token0, batch, bar);
        ptx::tma_load_4d(k_tile + T::kKeyPanel, &maps.k_rest, 64, kv, key0, batch, bar);
      }
    }
    for (int i = 0; i < T::kPanels; i++)
      ptx::mbarrier_arrive_expect_tx(barrier(control, kValues + i), T::kKeyPanel + T::kKeyRest);
    for (int i = 0; i < T::kEarly; i++) load_values(i);
    if (T::kRest) ptx::tma_load_4d(v_tile + T::kKeyPanel, &maps.v_rest, 64, kv, key0, batch, barrier(control, kValues));
  }
  if (Dim == 256 && thread == 32) {
    for (int g = 0; g < 2; g++) {
      ptx::mbarrier_init(barrier(control, kSums + g), 1);
      ptx::mbarrier_arrive_expect_tx(barrier(control, kSums + g), (splits - 1) * (kSumBytes / 2));
    }
#pragma unroll 1
    for (uint32_t units = p.owned[rank], bar = barrier(control, kPartials); units != 0; units >>= 4, bar += 8) {
      ptx::mbarrier_init(bar, 5);  // this thread, and the 4 warps that store this block's own partial unit
      ptx::mbarrier_arrive_expect_tx(bar, (splits - 1) * kUnitBytes);
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();

  // The second warpgroup starts after the first, so that one computes its softmax while the other multiplies. Named
  // barriers: 1 and 2 for the warps of a warpgroup, 3 for this order.
  float score[32 * KeyTiles];  // (64 rows, kKeys) of the warpgroup, as ptx::wgmma distributes them
  if (warpgroup == 1) ptx::bar_sync(3, 256);
#pragma unroll
  for (int i = 0; i < T::kPanels; i++) {
    ptx::mbarrier_wait(barrier(control, kScores + i), 0);
    if (i == 0) ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++)
      ptx::wgmma<Value, T::kKeys>(score, ptx::wgmma_descriptor_128b(q_tile + i * T::kQueryPanel + k * 32),
                                  ptx::wgmma_descriptor_128b(k_tile + i * T::kKeyPanel + k * 32), i + k > 0);
    if (T::kRest)
      ptx::wgmma<Value, T::kKeys>(score, ptx::wgmma_descriptor_32b(q_tile + T::kQueryPanel),
                                  ptx::wgmma_descriptor_32b(k_tile + T::kKeyPanel), true);
  }
  ptx::wgmma_commit_group();
  if (Warpgroups == 2 && warpgroup == 0) ptx::bar_arrive(3, 256);
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_fence_operand(score);

  if (T::kEarly < T::kPanels) {  // queries have been read
    ptx::bar_sync(1 + warpgroup, 128);
    if (group_thread == 0 && T::kEarly + warpgroup < T::kPanels) load_values(T::kEarly + warpgroup);
    __syncwarp();
    ptx::barrier_cluster_arrive_relaxed();  // keys have been read too, and this block's mbarriers are initialised
  }

  if (key0 + T::kKeys > p.keys) {
    const int valid_keys = p.keys - key0 - lane % 4 * 2;  // from this lane's first on
#pragma unroll
    for (int i = 0; i < 32 * KeyTiles; i++)
      if (i / 4 * 8 + i % 2 >= valid_keys) score[i] = -INFINITY;
  }
  // By `side`: of rows `row` and row + 8 (below). factor: scales the unnormalised products.
  float factor[2], log_sum[2];
  {
    float row_max[2][4], sum[2][4];  // four independent chains, for instruction-level parallelism
#pragma unroll
    for (int i = 0; i < 32 * KeyTiles; i++) {
      float& m = row_max[i / 2 % 2][i / 4 % 2 * 2 + i % 2];
      m = i < 8 ? score[i] : fmaxf(m, score[i]);
    }
#pragma unroll
    for (int side = 0; side < 2; side++) {
      float& m = row_max[side][0];
      m = fmaxf(fmaxf(m, row_max[side][1]), fmaxf(row_max[side][2], row_max[side][3]));
      m = fmaxf(m, __shfl_xor_sync(~0u, m, 1));
      m = fmaxf(m, __shfl_xor_sync(~0u, m, 2)) * p.scale;
    }
#pragma unroll
    for (int i = 0; i < 32 * KeyTiles; i++) {
      score[i] = ptx::ex2_approx_ftz(fmaf(score[i], p.scale, -row_max[i / 2 % 2][0]));
      float& s = sum[i / 2 % 2][i / 4 % 2 * 2 + i % 2];
      s = i < 8 ? score[i] : s + score[i];
    }
#pragma unroll
    for (int side = 0; side < 2; side++) {
      float s = (sum[side][0] + sum[side][1]) + (sum[side][2] + sum[side][3]);
      s += __shfl_xor_sync(~0u, s, 1);
      s += __shfl_xor_sync(~0u, s, 2);
      factor[side] = __fdividef(1.0f, s);
      log_sum[side] = row_max[side][0] + __log2f(s);
    }
  }
  uint32_t probs[4 * KeyTiles][4];  // unnormalised probabilities as the left operand of wgmma, 16 keys each
#pragma unroll
  for (int k = 0; k < 4 * KeyTiles; k++)
#pragma unroll
    for (int j = 0; j < 4; j++) probs[k][j] = packed<Value>(score[8 * k + 2 * j], score[8 * k + 2 * j + 1]);

  float acc[T::kPanels][32], acc_rest[8];  // products with the i-th panel, with the 16 columns after it
  const auto multiply_values = [&](int i) {
    ptx::mbarrier_wait(barrier(control, kValues + i), 0);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4 * KeyTiles; k++) {
      ptx::wgmma_trans_b<Value, 64>(acc[i], probs[k], ptx::wgmma_descriptor_128b(panel_address(i) + k * 2048), k > 0);
      if (T::kRest)
        ptx::wgmma_trans_b<Value, 16>(acc_rest, probs[k], ptx::wgmma_descriptor_32b(v_tile + T::kKeyPanel + k * 512),
                                      k > 0);
    }
    ptx::wgmma_commit_group();
  };
  const int row = group_thread / 32 * 16 + lane / 4;  // of the warpgroup; also row + 8

  if constexpr (Dim == 256) {
    const uint32_t partials = tiles + T::kPartialsAt, warp_offset = group_thread / 32 * kWarpUnitBytes;
    const uint32_t sent = tiles + T::kSentAt + warpgroup * T::kSending * kUnitBytes + warp_offset;
    const uint32_t matrix_row = (lane % 8 + lane / 8 % 2 * 8) * 128;  // stmatrix: rows 0 to 7, 8 to 15, twice
    // Stores the unit of the i-th panel where it is added up: in this block, or through `sent` in another.
    const auto send = [&](int i) {
      ptx::wgmma_fence_operand(acc[i]);
      const int unit = 2 * panel_of(i) + warpgroup, owner = p.owner >> 4 * unit & 15, slot = p.slot >> 4 * unit & 15;
      const uint32_t partial = partials + (slot * splits + rank) * kUnitBytes + warp_offset;
      const uint32_t source = owner == rank ? partial : sent + i % T::kSending * kUnitBytes;
      if (i >= T::kSending) {
        if (lane == 0) ptx::cp_async_bulk_wait_group_read<T::kSending - 1>();
        __syncwarp();
      }
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float* const c = acc[i] + 8 * j;
        ptx::stmatrix(
            source + matrix_row + ((2 * j + lane / 16) ^ lane % 8) * 16,
            packed<fp16>(c[0] * factor[0], c[1] * factor[0]), packed<fp16>(c[2] * factor[1], c[3] * factor[1]),
            packed<fp16>(c[4] * factor[0], c[5] * factor[0]), packed<fp16>(c[6] * factor[1], c[7] * factor[1]));
      }
      ptx::fence_proxy_async_shared();
      __syncwarp();
      if (lane == 0) {
        const uint32_t bar = barrier(control, kPartials + slot);
        if (owner == rank)
          ptx::mbarrier_arrive(bar);
        else
          ptx::cp_async_bulk_s2cluster(ptx::mapa(partial, owner), source, kWarpUnitBytes, ptx::mapa(bar, owner));
        ptx::cp_async_bulk_commit_group();
      }
    };

    multiply_values(0);
    ptx::barrier_cluster_wait();
    if (T::kEarly + Warpgroups < T::kPanels && thread == 0) load_values(T::kPanels - 1);
#pragma unroll 1
    for (int other = lane % 4; other < splits; other += 4)
      if (other != rank) {
        const uint32_t sums =
            ptx::mapa(control + kSumsAt + (rank - (rank > other)) * kSumBytes + (warpgroup * 64 + row) * 4, other);
        const uint32_t bar = ptx::mapa(barrier(control, kSums + warpgroup), other);
        ptx::st_async(sums, log_sum[0], bar), ptx::st_async(sums + 32, log_sum[1], bar);
      }
    __syncwarp();
    multiply_values(1);
    ptx::mbarrier_wait_cluster(barrier(control, kSums + warpgroup), 0);
#pragma unroll
    for (int side = 0; side < 2; side++) {  // weight of this block's part of the keys
      float others = 1;
#pragma unroll 1
      for (int s = 0; s < splits - 1; s++)
        others += ptx::ex2_approx_ftz(
            ptx::ld_shared_f32(control + kSumsAt + s * kSumBytes + (warpgroup * 64 + row + 8 * side) * 4) -
            log_sum[side]);
      factor[side] = __fdividef(factor[side], others);
    }
    ptx::wgmma_wait_group<1>(), send(0), multiply_values(2);
    ptx::wgmma_wait_group<1>(), send(1), multiply_values(3);
    ptx::wgmma_wait_group<1>(), send(2);
    ptx::wgmma_wait_group<0>(), send(3);

    // Adds up this block's units: a thread has 8 columns of rows thread / 8 and thread / 8 + 32.
    int64_t out_offset[2];
    int token[2];  // past the last one where the row is padding
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int r = thread / 8 + 32 * half, own_token = r * p.heads_per_kv_inverse >> 16;
      token[half] = own_token < p.tokens ? token0 + own_token : p.queries;
      out_offset[half] = (static_cast<int64_t>(batch) * p.queries + token0 + own_token) * p.out_stride +
                         (kv * p.heads_per_kv + r - own_token * p.heads_per_kv) * Dim + thread % 8 * 8;
    }
    const uint32_t thread_chunk = thread / 8 * 128 + (thread % 8 ^ thread / 8 % 8) * 16;
    uint32_t bar = barrier(control, kPartials), partial = partials + thread_chunk;
#pragma unroll 1
    for (uint32_t units = p.owned[rank]; units != 0; units >>= 4, bar += 8) {
      const int panel = units >> 1 & 3, first_token = units & 1 ? p.tokens : 0;  // the unit's warpgroup: bit 0
      ptx::mbarrier_wait_cluster(bar, 0);
      __half2 total[2][4]{};
#pragma unroll 1
      for (int s = 0; s < splits; s++, partial += kUnitBytes) {
        const uint4 chunk[2] = {ptx::ld_shared_v4(partial), ptx::ld_shared_v4(partial + kUnitBytes / 2)};
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const uint32_t values[4] = {chunk[half].x, chunk[half].y, chunk[half].z, chunk[half].w};
#pragma unroll
          for (int j = 0; j < 4; j++) total[half][j] = __hadd2(total[half][j], as_half2(values[j]));
        }
      }
#pragma unroll
      for (int half = 0; half < 2; half++) {
        uint32_t values[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
          const float2 value = __half22float2(total[half][j]);
          values[j] = packed<Value>(value.x, value.y);
        }
        if (token[half] + first_token < p.queries)
          *reinterpret_cast<uint4*>(static_cast<Value*>(p.out) + out_offset[half] + first_token * p.out_stride +
                                    panel * 64) = make_uint4(values[0], values[1], values[2], values[3]);
      }
    }
    if (lane == 0) ptx::cp_async_bulk_wait_group_read<0>();
  } else {
    multiply_values(0);
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_fence_operand(acc[0]), ptx::wgmma_fence_operand(acc_rest);
#pragma unroll
    for (int side = 0; side < 2; side++) {
      const int r = row + 8 * side, own_token = r * p.heads_per_kv_inverse >> 16, token = token0 + own_token;
      if (own_token >= p.tokens || token >= p.queries) continue;
      Value* const out_row = static_cast<Value*>(p.out) +
                             (static_cast<int64_t>(batch) * p.queries + token) * p.out_stride +
                             (kv * p.heads_per_kv + r - own_token * p.heads_per_kv) * p.dim + lane % 4 * 2;
#pragma unroll
      for (int j = 0; j < 8; j++)
        store2(out_row + 8 * j,
               make_float2(acc[0][4 * j + 2 * side] * factor[side], acc[0][4 * j + 2 * side + 1] * factor[side]));
#pragma unroll
      for (int j = 0; j < 2; j++)
        if (64 + 8 * j < p.dim)
          store2(out_row + 64 + 8 * j,
                 make_float2(acc_rest[4 * j + 2 * side] * factor[side], acc_rest[4 * j + 2 * side + 1] * factor[side]));
    }
  }
}

}  // namespace pi05::kernels::attention_sm90_detail
