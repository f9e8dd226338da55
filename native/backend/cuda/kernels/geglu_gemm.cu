// gelu(x · gateᵀ) * (x · upᵀ) as one product of Hopper's warpgroups. A block's tile is 256 rows of weight by kRows rows
// of x; a block takes tiles in turn, and its two warpgroups of consumers finish one while the copies of the next are on
// their way. The blocks at work at one time share as few rows of weight as can be: those are read from memory once.
#include <algorithm>
#include <iterator>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/kernels/ptx_sm90.cuh"
#include "backend/cuda/kernels/tensor_map.h"
#include "backend/cuda/launch_log.h"

namespace pi05::kernels {
namespace {

constexpr int kShared = 232448;  // bytes of a block at most

template <int kRows_>
struct Tile {
  static constexpr int kRows = kRows_;                     // of x
  static constexpr int kGroups = 2, kHalves = 2;           // a warpgroup's sums: kHalves times 64 rows of weight
  static constexpr int kWeights = 64 * kGroups * kHalves;  // rows of weight
  static constexpr int kThreads = 128 * (kGroups + 1);     // the last warpgroup copies
  static constexpr int kStep = 64;                         // columns of weight and x in a stage: 128 bytes
  static constexpr int kWeightBytes = kWeights * 128, kStageBytes = kWeightBytes + kRows * 128;
  static constexpr int kOutCols = 32 * kHalves;  // a warpgroup's
  static constexpr int kOutBytes = kOutCols * kRows * 2;
  static constexpr int kFixed = 1024 + kGroups * kOutBytes + 64;  // to a multiple of 1024, results, barriers
  static constexpr int kStages = (kShared - kFixed) / kStageBytes;
  static constexpr int kBytes = kFixed + kStages * kStageBytes;
  static_assert(kStages >= 3 && kStages <= 4 && kRows % 8 == 0);
};

// Of 8 columns of out by 8 rows of x, what a thread has: a column and two rows. Sums of gate, then of up.
__device__ __forceinline__ uint32_t gated_pair(const float* sums) {
  const __nv_bfloat162 pair =
      __floats2bfloat162_rn(gelu_tanh_fast(sums[0]) * sums[2], gelu_tanh_fast(sums[1]) * sums[3]);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// weight: 8 rows of gate and the same 8 of up in turn, so that a thread's sums are of both.
template <typename Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    geglu_gemm_kernel(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                      const __grid_constant__ CUtensorMap out, int row_tiles, int tiles, int steps) {
  extern __shared__ uint8_t shared[];
  const uint32_t stages = (ptx::smem_address(shared) + 1023) & ~1023u;
  const uint32_t results = stages + Tile::kStages * Tile::kStageBytes;
  const uint32_t full = results + Tile::kGroups * Tile::kOutBytes, empty = full + 8 * Tile::kStages;
  const int group = __shfl_sync(~0u, threadIdx.x / 128, 0), lane = threadIdx.x % 32;
  const int first = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);

  if (threadIdx.x == 0) {
    for (int i = 0; i < Tile::kStages; i++)
      ptx::mbarrier_init(full + 8 * i, 1), ptx::mbarrier_init(empty + 8 * i, 4 * Tile::kGroups);
    ptx::fence_mbarrier_init(), ptx::fence_proxy_async();
  }
  __syncthreads();

  if (group == Tile::kGroups) {
    ptx::setmaxnreg_dec<40>();
    if (threadIdx.x % 128 != 0) return;
    ptx::prefetch_tensormap(&weight), ptx::prefetch_tensormap(&x), ptx::prefetch_tensormap(&out);
    const auto load_weight = [&](int stage, int step, int weight_row) {
      ptx::mbarrier_arrive_expect_tx(full + 8 * stage, Tile::kStageBytes);
      ptx::tma_load_2d(stages + stage * Tile::kStageBytes, &weight, step * Tile::kStep, weight_row, full + 8 * stage);
    };
    const int ahead = min(Tile::kStages, steps);  // weights do not wait for x
    for (int step = 0; step < ahead; step++) load_weight(step, step, first / row_tiles * Tile::kWeights);
    pdl_wait();
    int stage = 0, parity = 1;
    for (int tile = first; tile < tiles; tile += blocks) {
      const int weight_row = tile / row_tiles * Tile::kWeights, row = tile % row_tiles * Tile::kRows;
#pragma unroll 1
      for (int step = 0; step < steps; step++) {
        if (tile > first || step >= ahead) {
          ptx::mbarrier_wait(empty + 8 * stage, parity);
          load_weight(stage, step, weight_row);
        }
        ptx::tma_load_2d(stages + stage * Tile::kStageBytes + Tile::kWeightBytes, &x, step * Tile::kStep, row,
                         full + 8 * stage);
        if (++stage == Tile::kStages) stage = 0, parity ^= 1;
      }
    }
    return;
  }

  ptx::setmaxnreg_inc<232>();
  const bool leader = threadIdx.x % 128 == 0;
  const uint32_t result = results + group * Tile::kOutBytes;
  float sums[Tile::kHalves][Tile::kRows / 2];
  int stage = 0, parity = 0;
  for (int tile = first; tile < tiles; tile += blocks) {
    int last = 0;
    for (int step = 0; step < steps; step++) {
      ptx::mbarrier_wait(full + 8 * stage, parity);
      const uint32_t at = stages + stage * Tile::kStageBytes;
      const uint64_t weight_at = ptx::wgmma_descriptor_128b(at + group * Tile::kHalves * 8192),
                     x_at = ptx::wgmma_descriptor_128b(at + Tile::kWeightBytes);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < Tile::kStep / 16; k++)
#pragma unroll
        for (int half = 0; half < Tile::kHalves; half++)
          ptx::wgmma<bf16, Tile::kRows>(sums[half], weight_at + half * 512 + k * 2, x_at + k * 2, step > 0 || k > 0);
      ptx::wgmma_commit_group();
      ptx::wgmma_wait_group<1>();
      if (step > 0 && lane == 0) ptx::mbarrier_arrive(empty + 8 * last);
      last = stage;
      if (++stage == Tile::kStages) stage = 0, parity ^= 1;
    }
    ptx::wgmma_wait_group<0>();
#pragma unroll
    for (auto& half : sums) ptx::wgmma_fence_operand(half);
    if (lane == 0) ptx::mbarrier_arrive(empty + 8 * last);

    if (leader) ptx::cp_async_bulk_wait_group_read<0>();
    ptx::bar_sync(1 + group, 128);
#pragma unroll
    for (int half = 0; half < Tile::kHalves; half++) {
      const int chunk = half * 4 + static_cast<int>(threadIdx.x) / 32 % 4;
#pragma unroll
      for (int i = 0; i < Tile::kRows; i += 32) {
        const float* mine = sums[half] + i / 2;
        const uint32_t to = result + (i + lane) * 128 + ((chunk ^ (lane & 7)) << 4);
        if (i + 32 <= Tile::kRows) {
          ptx::stmatrix_trans(to, gated_pair(mine), gated_pair(mine + 4), gated_pair(mine + 8), gated_pair(mine + 12));
        } else {
          constexpr int kSixteen = Tile::kRows & 16;
          if (kSixteen) ptx::stmatrix_trans(to, gated_pair(mine), gated_pair(mine + 4));
          if (Tile::kRows & 8) ptx::stmatrix_trans(to + kSixteen * 128, gated_pair(mine + kSixteen / 2));
        }
      }
    }
    ptx::fence_proxy_async_shared();
    ptx::bar_sync(1 + group, 128);
    if (leader)
      ptx::tma_store_2d(&out, (tile / row_tiles * Tile::kGroups + group) * Tile::kOutCols,
                        tile % row_tiles * Tile::kRows, result);
  }
  if (leader) ptx::cp_async_bulk_wait_group_read<0>();
}

int64_t tiles_of(int64_t rows, int64_t tile) { return (rows + tile - 1) / tile; }

template <int kRows>
cudaError_t launch(const Matrix& x, const Matrix& weight, const Matrix& out, cudaStream_t stream) {
  using T = Tile<kRows>;
  cudaError_t result =
      cudaFuncSetAttribute(geglu_gemm_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
  CUtensorMap weight_map, x_map, out_map;
  if (result == cudaSuccess) result = tensor_map(weight, T::kWeights, &weight_map);
  if (result == cudaSuccess) result = tensor_map(x, kRows, &x_map);
  if (result == cudaSuccess) result = tensor_map(out, kRows, &out_map);
  if (result != cudaSuccess) return result;
  const int64_t row_tiles = tiles_of(x.rows, kRows), tiles = row_tiles * tiles_of(weight.rows, T::kWeights);
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(tiles, gpu().multiprocessors));
  return launch_pdl(geglu_gemm_kernel<T>, blocks, T::kThreads, T::kBytes, stream, weight_map, x_map, out_map, row_tiles,
                    tiles, tiles_of(x.cols, T::kStep));
}

}  // namespace

bool geglu_gemm_supported(const Matrix& x, const Tensor& weight, const Matrix& out) {
  const auto aligned = [](const void* data, int64_t stride) {
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
  };
  return gpu().is_hopper() && tensor_map_encoder() && x.dtype == DType::BF16 && weight.dtype == DType::BF16 &&
         out.dtype == DType::BF16 && weight.rows % 16 == 0 && aligned(x.data, x.stride) &&
         aligned(weight.data, weight.cols) && aligned(out.data, out.stride);
}

cudaError_t geglu_gemm(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream) {
  if (!geglu_gemm_supported(x, weight, out) || weight.rows != 2 * out.cols || weight.cols < x.cols ||
      out.rows != x.rows || x.rows <= 0)
    return cudaErrorInvalidValue;
  const Matrix rows{const_cast<void*>(weight.data), weight.dtype, weight.rows, x.cols, weight.cols};
  // The fewest tiles in turn, by what they cost.
  struct Choice {
    int rows;
    cudaError_t (*launch)(const Matrix&, const Matrix&, const Matrix&, cudaStream_t);
  };
  static constexpr Choice kChoices[] = {{128, launch<128>}, {144, launch<144>}, {152, launch<152>}, {160, launch<160>},
                                        {168, launch<168>}, {176, launch<176>}, {184, launch<184>}, {192, launch<192>}};
  constexpr int64_t kEnd = 8;  // what a tile costs beside its rows, in rows
  const auto cost = [&](const Choice& choice) {
    return tiles_of(tiles_of(x.rows, choice.rows) * tiles_of(weight.rows, Tile<128>::kWeights), gpu().multiprocessors) *
           (choice.rows + kEnd);
  };
  const Choice* best = std::min_element(std::begin(kChoices), std::end(kChoices),
                                        [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
  return launched("geglu_gemm", best->launch(x, rows, out, stream));
}

}  // namespace pi05::kernels
