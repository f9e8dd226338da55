// Attention by wgmma and TMA; all scores of a block are in registers at once. Compute capability 9.0.
//
// Launch: grid (query tiles * splits, batch * kv_heads) in clusters of `splits` blocks, 1 or 2 warpgroups. The query
// heads that share a key head are rows of one matrix, 64 per warpgroup. The blocks of a cluster split the keys, at most
// 256 each. A block multiplies its probabilities by 64 columns (a panel) of the values at a time; the result of a
// warpgroup, a unit of 64 rows x 64 columns, is sent through distributed shared memory to the block that adds up this
// unit, while the next panel is multiplied. Partial results are sent already weighted, as fp16, which has three bits
// more than bf16.
#pragma once

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/ptx_sm90.cuh"

namespace pi05::kernels::attention_sm90_detail {

constexpr int kMaxSplits = 8;  // blocks per cluster
constexpr int kUnits = 8;      // unit 2 * panel + warpgroup
constexpr int kUnitBytes = 64 * 64 * 2;

struct AttentionSm90Maps {
  CUtensorMap q, k, v;                 // 64 columns of a head
  CUtensorMap q_rest, k_rest, v_rest;  // the 16 columns after them, in heads of 80
};

struct AttentionSm90Params {
  void* out;
  int64_t out_stride;
  int queries, keys;            // per batch element
  int kv_heads, group, tokens;  // query heads per key head, tokens per warpgroup
  int dim;
  float scale;  // log2(e) / sqrt(dim)
  int splits;
  uint32_t owner, slot;        // 4 bits per unit: the rank that adds it up, its slot there
  uint32_t owned[kMaxSplits];  // of each rank: its units in the order of completion, 4 bits each: 8 + unit
  uint32_t group_inverse;      // 65536 / group, rounded up: r / group == r * group_inverse >> 16 for r < 64
};

template <int Dim, int Groups, int Blocks>
struct AttentionSm90Tile {
  static constexpr int kThreads = 128 * Groups, kKeys = 64 * Blocks;
  static constexpr int kPanels = Dim / 64;  // of 64 columns each
  static constexpr bool kRest = Dim % 64 != 0;
  static_assert(Dim % 64 == 0 || Dim % 64 == 16, "one narrow tile after those of 64 columns");
  static_assert((Dim == 256 && Groups == 2) || (kPanels == 1 && Groups == 1), "other widths have no clusters");
  static constexpr int kQueryPanel = 64 * 128, kKeyPanel = kKeys * 128, kQueryRest = kRest ? 64 * 32 : 0,
                       kKeyRest = kRest ? kKeys * 32 : 0;
  static constexpr int kQueries = kPanels * kQueryPanel + kQueryRest;  // bytes of a warpgroup
  // Value panels with their own shared memory; the others overwrite queries and keys that have been read.
  static constexpr int kEarly = Dim != 256 ? kPanels : Blocks < 4 ? 2 : 1;
  static constexpr int kValuesAt = Groups * kQueries, kKeysAt = kValuesAt + kEarly * kKeyPanel + kKeyRest;
  static constexpr int kEnd = kKeysAt + kPanels * kKeyPanel + kKeyRest;
  // In place of the keys: units being sent, then the partial units that this block adds up.
  static constexpr int kSentAt = kKeysAt + (kEarly + Groups < kPanels ? kKeyPanel : 0);
  static constexpr int kSending = Blocks < 4 ? 2 : 1;  // units of a warpgroup being sent at once
  static constexpr int kPartsAt = kSentAt + Groups * kSending * kUnitBytes;
};

// Before the tiles: mbarriers, then the other blocks' logarithms of sums, 128 rows each.
constexpr int kSumsAt = 256;
__host__ __device__ constexpr int control_bytes(int splits) {
  return (kSumsAt + (splits - 1) * 512 + 1023) / 1024 * 1024;
}
enum Barrier { kScores = 0, kValues = 4, kSums = 8, kParts = 10 };
__device__ __forceinline__ uint32_t barrier(uint32_t control, int index) { return control + index * 8; }

__device__ __forceinline__ __half2 as_half2(uint32_t both) { return *reinterpret_cast<const __half2*>(&both); }

template <typename Value, int Dim, int Groups, int Blocks>
__global__ void __launch_bounds__(128 * Groups, 1)
    attention_sm90_kernel(const __grid_constant__ AttentionSm90Maps maps,
                          const __grid_constant__ AttentionSm90Params p) {
  using T = AttentionSm90Tile<Dim, Groups, Blocks>;
  extern __shared__ __align__(1024) uint8_t shared[];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, own = thread % 128;
  const int group = Groups == 1 ? 0 : __shfl_sync(~0u, thread / 128, 0);  // warpgroup
  const int splits = p.splits, rank = static_cast<int>(blockIdx.x) % splits;
  const int batch = static_cast<int>(blockIdx.y) / p.kv_heads, kv = static_cast<int>(blockIdx.y) % p.kv_heads;
  const int token0 = static_cast<int>(blockIdx.x) / splits * Groups * p.tokens, key0 = rank * T::kKeys;
  const uint32_t control = ptx::smem_address(shared), tiles = control + control_bytes(splits);
  const uint32_t q_own = tiles + group * T::kQueries, k_tile = tiles + T::kKeysAt, v_tile = tiles + T::kValuesAt;
  const int first = T::kPanels == 1 ? 0 : rank + 1;  // each rank multiplies the panels that it adds up last
  const auto panel_of = [&](int i) { return (first + i) % T::kPanels; };
  const auto panel_address = [&](int i) {  // of the i-th value panel
    if (i < T::kEarly) return v_tile + i * T::kKeyPanel;
    if (i < T::kEarly + Groups) return tiles + (i - T::kEarly) * T::kQueries;
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
    const int query_row = 2 * p.group * p.tokens;  // bytes of a column
    for (int i = 0; i < T::kPanels; i++) {
      const uint32_t bar = barrier(control, kScores + i);
      ptx::mbarrier_arrive_expect_tx(bar, Groups * query_row * (T::kRest ? 80 : 64) + T::kKeyPanel + T::kKeyRest);
      for (int g = 0; g < Groups; g++)
        ptx::tma_load_4d(tiles + g * T::kQueries + i * T::kQueryPanel, &maps.q, i * 64, kv * p.group,
                         token0 + g * p.tokens, batch, bar);
      ptx::tma_load_4d(k_tile + i * T::kKeyPanel, &maps.k, i * 64, kv, key0, batch, bar);
      if (T::kRest) {
        ptx::tma_load_4d(tiles + T::kQueryPanel, &maps.q_rest, 64, kv * p.group, token0, batch, bar);
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
      ptx::mbarrier_arrive_expect_tx(barrier(control, kSums + g), (splits - 1) * 256);
    }
#pragma unroll 1
    for (uint32_t left = p.owned[rank], bar = barrier(control, kParts); left != 0; left >>= 4, bar += 8) {
      ptx::mbarrier_init(bar, 5);  // this, and the warps of this block's part
      ptx::mbarrier_arrive_expect_tx(bar, (splits - 1) * kUnitBytes);
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();

  // The second warpgroup follows the first, so that one computes its softmax while the other multiplies.
  float score[32 * Blocks];
  if (group == 1) ptx::bar_sync(3, 256);
#pragma unroll
  for (int i = 0; i < T::kPanels; i++) {
    ptx::mbarrier_wait(barrier(control, kScores + i), 0);
    if (i == 0) ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++)
      ptx::wgmma<Value, T::kKeys>(score, ptx::wgmma_descriptor_128b(q_own + i * T::kQueryPanel + k * 32),
                                  ptx::wgmma_descriptor_128b(k_tile + i * T::kKeyPanel + k * 32), i + k > 0);
    if (T::kRest)
      ptx::wgmma<Value, T::kKeys>(score, ptx::wgmma_descriptor_32b(q_own + T::kQueryPanel),
                                  ptx::wgmma_descriptor_32b(k_tile + T::kKeyPanel), true);
  }
  ptx::wgmma_commit_group();
  if (Groups == 2 && group == 0) ptx::bar_arrive(3, 256);
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_fence_operand(score);

  if (T::kEarly < T::kPanels) {  // queries have been read
    ptx::bar_sync(1 + group, 128);
    if (own == 0 && T::kEarly + group < T::kPanels) load_values(T::kEarly + group);
    __syncwarp();
    ptx::barrier_cluster_arrive_relaxed();  // keys have been read too, and this block's mbarriers are initialised
  }

  if (key0 + T::kKeys > p.keys) {
    const int left = p.keys - key0 - lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 32 * Blocks; i++)
      if (i / 4 * 8 + i % 2 >= left) score[i] = -INFINITY;
  }
  float factor[2], log_sum[2];  // factor: scales the unnormalised products
  {
    float row_max[2][4], sum[2][4];  // four independent chains, for instruction-level parallelism
#pragma unroll
    for (int i = 0; i < 32 * Blocks; i++) {
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
    for (int i = 0; i < 32 * Blocks; i++) {
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
  uint32_t share[4 * Blocks][4];  // exponentials as the left operand of wgmma, 16 keys each
#pragma unroll
  for (int k = 0; k < 4 * Blocks; k++)
#pragma unroll
    for (int j = 0; j < 4; j++) share[k][j] = packed<Value>(score[8 * k + 2 * j], score[8 * k + 2 * j + 1]);

  float sum[T::kPanels][32], rest[8];
  const auto multiply_values = [&](int i) {
    ptx::mbarrier_wait(barrier(control, kValues + i), 0);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4 * Blocks; k++) {
      ptx::wgmma_trans_b<Value, 64>(sum[i], share[k], ptx::wgmma_descriptor_128b(panel_address(i) + k * 2048), k > 0);
      if (T::kRest)
        ptx::wgmma_trans_b<Value, 16>(rest, share[k], ptx::wgmma_descriptor_32b(v_tile + T::kKeyPanel + k * 512),
                                      k > 0);
    }
    ptx::wgmma_commit_group();
  };
  const int row = own / 32 * 16 + lane / 4;  // of the warpgroup; also row + 8

  if constexpr (Dim == 256) {
    const uint32_t parts = tiles + T::kPartsAt, own_warp = own / 32 * 2048;
    const uint32_t sent = tiles + T::kSentAt + group * T::kSending * kUnitBytes + own_warp;
    const uint32_t matrix_row = (lane % 8 + lane / 8 % 2 * 8) * 128;  // stmatrix: rows 0 to 7, 8 to 15, twice
    const auto send = [&](int i) {
      ptx::wgmma_fence_operand(sum[i]);
      const int unit = 2 * panel_of(i) + group, to = p.owner >> 4 * unit & 15, slot = p.slot >> 4 * unit & 15;
      const uint32_t part = parts + (slot * splits + rank) * kUnitBytes + own_warp;
      const uint32_t at = to == rank ? part : sent + i % T::kSending * kUnitBytes;
      if (i >= T::kSending) {
        if (lane == 0) ptx::cp_async_bulk_wait_group_read<T::kSending - 1>();
        __syncwarp();
      }
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float* const c = sum[i] + 8 * j;
        ptx::stmatrix(
            at + matrix_row + ((2 * j + lane / 16) ^ lane % 8) * 16, packed<fp16>(c[0] * factor[0], c[1] * factor[0]),
            packed<fp16>(c[2] * factor[1], c[3] * factor[1]), packed<fp16>(c[4] * factor[0], c[5] * factor[0]),
            packed<fp16>(c[6] * factor[1], c[7] * factor[1]));
      }
      ptx::fence_proxy_async_shared();
      __syncwarp();
      if (lane == 0) {
        const uint32_t bar = barrier(control, kParts + slot);
        if (to == rank)
          ptx::mbarrier_arrive(bar);
        else
          ptx::cp_async_bulk_s2cluster(ptx::mapa(part, to), at, 2048, ptx::mapa(bar, to));
        ptx::cp_async_bulk_commit_group();
      }
    };

    multiply_values(0);
    ptx::barrier_cluster_wait();
    if (T::kEarly + Groups < T::kPanels && thread == 0) load_values(3);
#pragma unroll 1
    for (int to = lane % 4; to < splits; to += 4)
      if (to != rank) {
        const uint32_t at = ptx::mapa(control + kSumsAt + (rank - (rank > to)) * 512 + (group * 64 + row) * 4, to);
        const uint32_t bar = ptx::mapa(barrier(control, kSums + group), to);
        ptx::st_async(at, log_sum[0], bar), ptx::st_async(at + 32, log_sum[1], bar);
      }
    __syncwarp();
    multiply_values(1);
    ptx::mbarrier_wait_cluster(barrier(control, kSums + group), 0);
#pragma unroll
    for (int side = 0; side < 2; side++) {  // weight of this block's part of the keys
      float others = 1;
#pragma unroll 1
      for (int s = 0; s < splits - 1; s++)
        others += ptx::ex2_approx_ftz(
            ptx::ld_shared_f32(control + kSumsAt + s * 512 + (group * 64 + row + 8 * side) * 4) - log_sum[side]);
      factor[side] = __fdividef(factor[side], others);
    }
    ptx::wgmma_wait_group<1>(), send(0), multiply_values(2);
    ptx::wgmma_wait_group<1>(), send(1), multiply_values(3);
    ptx::wgmma_wait_group<1>(), send(2);
    ptx::wgmma_wait_group<0>(), send(3);

    // Adds up this block's units: a thread has 8 columns of rows thread / 8 and thread / 8 + 32.
    int64_t at[2];
    int token[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int r = thread / 8 + 32 * half, of_group = r * p.group_inverse >> 16;
      token[half] = of_group < p.tokens ? token0 + of_group : p.queries;
      at[half] = (static_cast<int64_t>(batch) * p.queries + token0 + of_group) * p.out_stride +
                 (kv * p.group + r - of_group * p.group) * Dim + thread % 8 * 8;
    }
    const uint32_t own_chunk = thread / 8 * 128 + (thread % 8 ^ thread / 8 % 8) * 16;
    uint32_t bar = barrier(control, kParts), from = parts + own_chunk;
#pragma unroll 1
    for (uint32_t left = p.owned[rank]; left != 0; left >>= 4, bar += 8) {
      const int panel = left >> 1 & 3, ahead = left & 1 ? p.tokens : 0;
      ptx::mbarrier_wait_cluster(bar, 0);
      __half2 total[2][4]{};
#pragma unroll 1
      for (int s = 0; s < splits; s++, from += kUnitBytes) {
        const uint4 part[2] = {ptx::ld_shared_v4(from), ptx::ld_shared_v4(from + 4096)};
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const uint32_t values[4] = {part[half].x, part[half].y, part[half].z, part[half].w};
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
        if (token[half] + ahead < p.queries)
          *reinterpret_cast<uint4*>(static_cast<Value*>(p.out) + at[half] + ahead * p.out_stride + panel * 64) =
              make_uint4(values[0], values[1], values[2], values[3]);
      }
    }
    if (lane == 0) ptx::cp_async_bulk_wait_group_read<0>();
  } else {
    multiply_values(0);
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_fence_operand(sum[0]), ptx::wgmma_fence_operand(rest);
#pragma unroll
    for (int side = 0; side < 2; side++) {
      const int r = row + 8 * side, of_group = r * p.group_inverse >> 16, token = token0 + of_group;
      if (of_group >= p.tokens || token >= p.queries) continue;
      Value* const to = static_cast<Value*>(p.out) + (static_cast<int64_t>(batch) * p.queries + token) * p.out_stride +
                        (kv * p.group + r - of_group * p.group) * p.dim + lane % 4 * 2;
#pragma unroll
      for (int j = 0; j < 8; j++)
        store2(to + 8 * j,
               make_float2(sum[0][4 * j + 2 * side] * factor[side], sum[0][4 * j + 2 * side + 1] * factor[side]));
#pragma unroll
      for (int j = 0; j < 2; j++)
        if (64 + 8 * j < p.dim)
          store2(to + 64 + 8 * j,
                 make_float2(rest[4 * j + 2 * side] * factor[side], rest[4 * j + 2 * side + 1] * factor[side]));
    }
  }
}

}  // namespace pi05::kernels::attention_sm90_detail
