// GEMM of e4m3 operands by wgmma: out = x · weightᵀ, with fp32 sums and an fp32 scale for each row of x and of weight.
// Compute capability 9.0.
//
// Launch: one block per tile of kWeights rows of weight by kRows rows of x and per split of K (blockIdx.z); two
// consumer warpgroups with kHalves * 64 rows of weight each, one producer warpgroup (TMA, mbarrier pipeline). The two
// blocks of a cluster have the same rows of x: each loads a half and multicasts it. Weight loads start before the
// predecessor kernel has finished (PDL). Tile and splits are chosen by an estimate of the time.
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

constexpr int kBlocks = 2;  // per cluster

// Out is bf16, or float for split-K partials.
template <typename Out_, int kHalves_, int kRows_>
struct Fp8GemmTile {
  using Out = Out_;
  static constexpr int kRows = kRows_;                // of x
  static constexpr int kHalves = kHalves_;            // a warpgroup accumulates kHalves * 64 rows of weight
  static constexpr int kWeights = 128 * kHalves;      // rows of weight
  static constexpr int kWarps = 8;                    // consumers
  static constexpr int kThreads = 32 * kWarps + 128;  // the last warpgroup is the producer
  static constexpr int kStep = 128;                   // columns (K) per stage: 128 bytes
  static constexpr int kPiece = kRows / kBlocks;      // rows of x that a block loads for its cluster
  static constexpr int kWeightBytes = kWeights * 128, kStageBytes = kWeightBytes + kRows * 128;
  static constexpr int kMaxStages = 8;
  static constexpr int kFixed = 1024 + 2 * 8 * kMaxStages + 4 * kRows;  // alignment to 1024, mbarriers, scales of x
  static constexpr int kStages = std::min((kSm90SharedMemory - kFixed) / kStageBytes, kMaxStages);
  static constexpr int kBytes = kFixed + kStages * kStageBytes;
  // The results of 64 rows of weight are staged in boxes of 128 bytes by kRows rows of x.
  static constexpr int kBoxBytes = 128 * kRows, kBoxes = sizeof(Out) / 2, kBoxCols = 128 / sizeof(Out);
  static_assert(kPiece % 8 == 0 && kStages >= 4 && 2 * kHalves * kBoxes * kBoxBytes <= kStages * kStageBytes);
};

struct Fp8GemmParams {
  const float *weight_scale, *x_scale;
  int weights, rows;       // rows of weight, of x
  int steps, split_steps;  // pipeline steps of all of K, of one split
};

// Registers per thread: what the producer's warpgroup gives up, the consumers use.
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
static_assert(128 * kProducerRegisters + 256 * kConsumerRegisters <= 65536, "registers of a multiprocessor");

template <typename T>
__global__ void __launch_bounds__(T::kThreads, 1)
    fp8_gemm_kernel(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                    const __grid_constant__ CUtensorMap out, const __grid_constant__ Fp8GemmParams p) {
  extern __shared__ uint8_t shared[];
  const uint32_t stages = (ptx::smem_address(shared) + 1023) & ~1023u;
  const uint32_t full = stages + T::kStages * T::kStageBytes, empty = full + 8 * T::kMaxStages;
  const uint32_t x_scales = empty + 8 * T::kMaxStages;
  const int warp = __shfl_sync(~0u, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int rank = static_cast<int>(blockIdx.x) % kBlocks;
  const int weight0 = static_cast<int>(blockIdx.x) * T::kWeights, row0 = static_cast<int>(blockIdx.y) * T::kRows;
  const int split = static_cast<int>(blockIdx.z), first_step = split * p.split_steps;
  const int steps = min(p.split_steps, p.steps - first_step);

  pdl_trigger();
  if (threadIdx.x == 0) {
    for (int i = 0; i < T::kStages; i++)
      ptx::mbarrier_init(full + 8 * i, 1), ptx::mbarrier_init(empty + 8 * i, T::kWarps * kBlocks);
    ptx::fence_mbarrier_init(), ptx::fence_proxy_async();
  }
  __syncwarp();
  ptx::barrier_cluster_arrive_relaxed();
  ptx::barrier_cluster_wait();

  if (warp >= T::kWarps) {
    ptx::setmaxnreg_dec<kProducerRegisters>();
    if (threadIdx.x % 128 != 0) return;
    ptx::prefetch_tensormap(&weight), ptx::prefetch_tensormap(&x), ptx::prefetch_tensormap(&out);
    const auto load_weight = [&](int stage, int step) {
      ptx::mbarrier_arrive_expect_tx(full + 8 * stage, T::kStageBytes);
      ptx::tma_load_2d(stages + stage * T::kStageBytes, &weight, (first_step + step) * T::kStep, weight0,
                       full + 8 * stage);
    };
    const auto load_x = [&](int stage, int step) {
      ptx::tma_load_2d_multicast(stages + stage * T::kStageBytes + T::kWeightBytes + rank * T::kPiece * 128, &x,
                                 (first_step + step) * T::kStep, row0 + rank * T::kPiece, full + 8 * stage,
                                 (1 << kBlocks) - 1);
    };
    const int ahead = min(T::kStages, steps);
    for (int step = 0; step < ahead; step++) load_weight(step, step);
    pdl_wait();
    for (int step = 0; step < ahead; step++) load_x(step, step);
    int stage = 0, parity = 0;
#pragma unroll 1
    for (int step = ahead; step < steps; step++) {
      ptx::mbarrier_wait(empty + 8 * stage, parity);
      load_weight(stage, step), load_x(stage, step);
      if (++stage == T::kStages) stage = 0, parity ^= 1;
    }
    for (int i = 0; i < ahead; i++) {  // after this no block of the cluster accesses this one's shared memory
      ptx::mbarrier_wait(empty + 8 * stage, parity);
      if (++stage == ahead) stage = 0, parity ^= 1;
    }
    return;
  }

  ptx::setmaxnreg_inc<kConsumerRegisters>();
  const int warpgroup = warp / 4;
  // A thread's rows of weight in half h: weight_row + 64 h + {0, 8}.
  const int weight_row = weight0 + warpgroup * T::kHalves * 64 + warp % 4 * 16 + lane / 4;
  float weight_scale[T::kHalves][2];
#pragma unroll
  for (int half = 0; half < T::kHalves; half++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int row = weight_row + 64 * half + 8 * i;
      weight_scale[half][i] = row < p.weights ? p.weight_scale[row] : 0.0f;
    }
  pdl_wait();
  if (static_cast<int>(threadIdx.x) < T::kRows)
    ptx::st_shared_f32(x_scales + 4 * threadIdx.x,
                       row0 + static_cast<int>(threadIdx.x) < p.rows ? p.x_scale[row0 + threadIdx.x] : 0.0f);
  const uint32_t release = ptx::mapa(empty, lane % kBlocks);  // one lane per block of the cluster
  float sums[T::kHalves][T::kRows / 2];
  int stage = 0, parity = 0, last = 0;
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    ptx::mbarrier_wait(full + 8 * stage, parity);
    const uint32_t stage_address = stages + stage * T::kStageBytes;
    // Descriptors count 16 bytes: 512 for 64 rows of weight, 2 for 32 columns.
    const uint64_t weights = ptx::wgmma_descriptor_128b(stage_address + warpgroup * T::kHalves * 8192),
                   rows = ptx::wgmma_descriptor_128b(stage_address + T::kWeightBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < T::kStep / 32; k++)
#pragma unroll
      for (int half = 0; half < T::kHalves; half++)
        ptx::wgmma<fp8, T::kRows>(sums[half], weights + half * 512 + k * 2, rows + k * 2, step > 0 || k > 0);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<1>();
    if (step > 0 && lane < kBlocks) ptx::mbarrier_arrive_remote(release + 8 * last);
    last = stage;
    if (++stage == T::kStages) stage = 0, parity ^= 1;
  }
  ptx::wgmma_wait_group<0>();
#pragma unroll
  for (auto& half : sums) ptx::wgmma_fence_operand(half);
  if (lane < kBlocks) ptx::mbarrier_arrive_remote(release + 8 * last);

  // The results are staged in the pipeline's shared memory, transposed, and stored by TMA.
  ptx::bar_sync(1, 32 * T::kWarps);
  const uint32_t results = stages + warpgroup * T::kHalves * T::kBoxes * T::kBoxBytes;
#pragma unroll
  for (int half = 0; half < T::kHalves; half++) {
    const float* const sum = sums[half];
    const float* const scale = weight_scale[half];
    if constexpr (sizeof(typename T::Out) == 4) {
      // Box warp % 4 / 2, columns warp % 2 * 16 + lane / 4 + {0, 8}.
      const uint32_t box = results + (half * T::kBoxes + warp % 4 / 2) * T::kBoxBytes;
      const int chunk = warp % 2 * 4 + lane / 16;
#pragma unroll
      for (int j = 0; j < T::kRows / 8; j++) {
        const int row = 8 * j + lane % 4 * 2;
        const float2 scales = ptx::ld_shared_v2(x_scales + 4 * row);
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const auto address = [&](int r) {
            return box + r * 128 + (((chunk + 2 * i) ^ (r & 7)) << 4) + lane / 4 % 4 * 4;
          };
          ptx::st_shared_f32(address(row), sum[4 * j + 2 * i] * (scales.x * scale[i]));
          ptx::st_shared_f32(address(row + 1), sum[4 * j + 2 * i + 1] * (scales.y * scale[i]));
        }
      }
    } else {
      const uint32_t box = results + half * T::kBoxBytes;
#pragma unroll
      for (int i = 0; i < T::kRows; i += 32) {  // rows i to i + 31 of x, or to i + 15
        float2 scales[4];
#pragma unroll
        for (int j = 0; j < 4 && i + 8 * j < T::kRows; j++)
          scales[j] = ptx::ld_shared_v2(x_scales + 4 * (i + 8 * j + lane % 4 * 2));
#pragma unroll
        for (int upper = 0; upper < 2; upper++) {
          const uint32_t address = box + (i + lane) * 128 + (((warp % 4 * 2 + upper) ^ (lane & 7)) << 4);
          const auto pair = [&](int j) {
            const float* const of = sum + i / 2 + 4 * j + 2 * upper;
            return packed<bf16>(of[0] * (scales[j].x * scale[upper]), of[1] * (scales[j].y * scale[upper]));
          };
          if (i + 32 <= T::kRows)
            ptx::stmatrix_trans(address, pair(0), pair(1), pair(2), pair(3));
          else
            ptx::stmatrix_trans(address, pair(0), pair(1));
        }
      }
    }
  }
  ptx::fence_proxy_async_shared();
  ptx::bar_sync(2 + warpgroup, 128);
  if (threadIdx.x % 128 != 0) return;
  for (int i = 0; i < T::kHalves * T::kBoxes; i++)
    ptx::tma_store_3d(&out, weight0 + warpgroup * T::kHalves * 64 + i * T::kBoxCols, row0, split,
                      results + i * T::kBoxBytes);
  ptx::cp_async_bulk_wait_group_read<0>();
}

// The last of `splits` splits of K may be shorter than the others, but none is empty.
template <typename T>
cudaError_t launch(const Fp8Matrix& x, const Fp8Tensor& weight, int64_t splits, const Matrix& out,
                   cudaStream_t stream) {
  const Matrix weight_view{const_cast<void*>(weight.values.data), weight.values.dtype, weight.values.rows,
                           x.values.cols, weight.values.cols};
  cudaError_t result = cudaFuncSetAttribute(fp8_gemm_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
  CUtensorMap weight_map, x_map, out_map;
  if (result == cudaSuccess) result = tensor_map(weight_view, T::kWeights, &weight_map);
  if (result == cudaSuccess) result = tensor_map(x.values, T::kPiece, &x_map);
  if (result == cudaSuccess) result = tensor_map(out, splits, T::kRows, &out_map);
  if (result != cudaSuccess) return result;
  const int64_t steps = ceil_div(x.values.cols, T::kStep);
  const Fp8GemmParams params{weight.scale,
                             x.scale,
                             static_cast<int>(weight.values.rows),
                             static_cast<int>(x.values.rows),
                             static_cast<int>(steps),
                             static_cast<int>(ceil_div(steps, splits))};
  const dim3 grid(blocks_for(weight.values.rows, kBlocks * T::kWeights) * kBlocks, blocks_for(x.values.rows, T::kRows),
                  static_cast<unsigned>(splits));
  return launch_pdl_clusters(fp8_gemm_kernel<T>, kBlocks, grid, T::kThreads, T::kBytes, stream, weight_map, x_map,
                             out_map, params);
}

struct Fp8GemmVariant {
  int halves, rows;
  decltype(&launch<Fp8GemmTile<bf16, 1, 64>>) launch;
};
template <typename Out, int kHalves, int kRows>
constexpr Fp8GemmVariant kVariant{kHalves, kRows, launch<Fp8GemmTile<Out, kHalves, kRows>>};

struct Fp8GemmChoice {
  const Fp8GemmVariant* variant;
  int64_t splits;
};

// Cycles that a wave of blocks takes, roughly: an instruction of 32 columns is limited by the tensor cores or by the
// 128 bytes per cycle of shared memory, from which both warpgroups read and into which TMA writes.
int64_t cost(const Fp8GemmVariant& variant, int64_t rows, int64_t weights, int64_t cols, int64_t splits) {
  const int64_t h = variant.halves, n = variant.rows;
  const int64_t instruction = std::max(h * n, 64 * h + h * n / 2 + n / 4);
  const int64_t blocks = int64_t{blocks_for(weights, 128 * h * kBlocks)} * kBlocks * blocks_for(rows, n) * splits;
  constexpr int64_t kBlockOverhead = 3000, kSplitOverhead = 3000;
  return ceil_div(blocks, gpu().multiprocessors) *
             (ceil_div(ceil_div(cols, 32), splits) * instruction + kBlockOverhead) +
         splits * kSplitOverhead;
}

template <size_t kCount>
Fp8GemmChoice best(const Fp8GemmVariant (&variants)[kCount], int64_t max_splits, const Fp8Matrix& x,
                   const Fp8Tensor& weight) {
  const int64_t steps = ceil_div(x.values.cols, 128);
  Fp8GemmChoice best{nullptr, 0};
  int64_t lowest = INT64_MAX;
  for (const Fp8GemmVariant& variant : variants)
    for (int64_t splits = 1; splits <= max_splits; splits++) {
      if ((splits - 1) * ceil_div(steps, splits) >= steps) continue;  // a split would be empty
      const int64_t cycles = cost(variant, x.values.rows, weight.values.rows, x.values.cols, splits);
      if (cycles < lowest) lowest = cycles, best = {&variant, splits};
    }
  return best;
}

constexpr int64_t kMaxSplits = 4;
Fp8GemmChoice split_k_choice(const Fp8Matrix& x, const Fp8Tensor& weight) {
  static constexpr Fp8GemmVariant kVariants[] = {
      kVariant<float, 1, 64>,  kVariant<float, 1, 80>,  kVariant<float, 1, 96>,  kVariant<float, 1, 144>,
      kVariant<float, 1, 192>, kVariant<float, 2, 128>, kVariant<float, 2, 144>, kVariant<float, 2, 160>};
  return best(kVariants, kMaxSplits, x, weight);
}

bool supported(const Fp8Matrix& x, const Fp8Tensor& weight) {
  return fp8_gemm_supported() && x.values.dtype == DType::E4M3 && weight.values.dtype == DType::E4M3 &&
         x.values.rows > 0 && weight.values.rows % 8 == 0 && weight.values.cols >= x.values.cols &&
         rows_aligned_e4m3(x.values.data, x.values.stride) && rows_aligned_e4m3(weight.values.data, weight.values.cols);
}

}  // namespace

bool fp8_gemm_supported() {
  static const bool fits = [] {
    if (!gpu().is_sm90() || !tensor_map_encoder()) return false;
    using T = Fp8GemmTile<bf16, 1, 64>;
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = kBlocks, attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t configuration{};
    configuration.gridDim = kBlocks, configuration.blockDim = T::kThreads, configuration.dynamicSmemBytes = T::kBytes;
    configuration.attrs = &attribute, configuration.numAttrs = 1;
    int clusters = 0;
    cudaError_t result =
        cudaFuncSetAttribute(fp8_gemm_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
    if (result == cudaSuccess) result = cudaOccupancyMaxActiveClusters(&clusters, fp8_gemm_kernel<T>, &configuration);
    if (result != cudaSuccess) cudaGetLastError();  // clear it: the next launch must not report it
    return clusters > 0;
  }();
  return fits;
}

cudaError_t fp8_gemm(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& out, cudaStream_t stream) {
  if (!supported(x, weight) || out.dtype != DType::BF16 || out.rows != x.values.rows ||
      out.cols != weight.values.rows || !rows_aligned(out.data, out.stride))
    return cudaErrorInvalidValue;
  static constexpr Fp8GemmVariant kVariants[] = {kVariant<bf16, 1, 64>, kVariant<bf16, 1, 96>, kVariant<bf16, 1, 128>,
                                                 kVariant<bf16, 1, 160>, kVariant<bf16, 1, 192>};
  return launched("fp8_gemm", best(kVariants, 1, x, weight).variant->launch(x, weight, 1, out, stream));
}

int64_t fp8_gemm_splits(const Fp8Matrix& x, const Fp8Tensor& weight) {
  return supported(x, weight) ? split_k_choice(x, weight).splits : 0;
}

cudaError_t fp8_gemm_split_k(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& partials, cudaStream_t stream) {
  if (!supported(x, weight)) return cudaErrorInvalidValue;
  const Fp8GemmChoice choice = split_k_choice(x, weight);
  if (partials.dtype != DType::F32 || partials.rows != choice.splits * x.values.rows ||
      partials.cols != weight.values.rows || partials.stride % 4 != 0)
    return cudaErrorInvalidValue;
  return launched("fp8_gemm", choice.variant->launch(x, weight, choice.splits, partials, stream));
}

}  // namespace pi05::kernels
