// GEGLU as one GEMM by wgmma: out = gelu(x · gateᵀ) * (x · upᵀ), of bf16 or of e4m3 operands with a scale per row.
// Compute capability 9.0.
//
// Launch: persistent, at most one block per SM; blocks loop over tiles of kWeights = 256 rows of weight by kRows rows
// of x. Two consumer warpgroups of 128 rows of weight, one producer warpgroup (TMA, mbarrier pipeline), which loads the
// next tile while the consumers finish one. Tiles are ordered so that concurrent blocks share rows of weight, which are
// then read from DRAM once.
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

template <typename Value_, int kRows_>
struct GegluGemmTile {
  using Value = Value_;
  static constexpr bool kScaled = std::is_same_v<Value, fp8>;
  static constexpr int kRows = kRows_;                    // of x
  static constexpr int kConsumerGroups = 2, kHalves = 2;  // a warpgroup accumulates kHalves * 64 rows of weight
  static constexpr int kWeights = 64 * kConsumerGroups * kHalves;  // rows of weight
  static constexpr int kThreads = 128 * (kConsumerGroups + 1);     // the last warpgroup is the producer
  static constexpr int kStep = 128 / sizeof(Value);                // columns (K) per stage: 128 bytes
  static constexpr int kWeightBytes = kWeights * 128, kStageBytes = kWeightBytes + kRows * 128;
  static constexpr int kOutCols = 32 * kHalves;  // of a warpgroup
  static constexpr int kOutBytes = kOutCols * kRows * 2;
  static constexpr int kScaleBytes = kScaled ? kRows * 4 : 0;  // of a warpgroup
  // Alignment to 1024, results, mbarriers, scales.
  static constexpr int kFixed = 1024 + kConsumerGroups * (kOutBytes + kScaleBytes) + 64;
  static constexpr int kStages = (kSm90SharedMemory - kFixed) / kStageBytes;
  static constexpr int kBytes = kFixed + kStages * kStageBytes;
  static_assert(kStages >= 3 && kStages <= 4 && kRows % 8 == 0);  // 4: room for 8 mbarriers
};

// gelu(gate) * up for one column and two rows of out. sums: gate of both rows, up of both rows.
__device__ __forceinline__ uint32_t geglu_pair(const float* sums) {
  const __nv_bfloat162 pair =
      __floats2bfloat162_rn(gelu_tanh_fast(sums[0]) * sums[2], gelu_tanh_fast(sums[1]) * sums[3]);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// The same with sums of e4m3 products: x holds the scales of both rows of x, weights those of the rows of gate and up.
// gelu_tanh_approx is exact enough for a result that is rounded to e4m3 next.
__device__ __forceinline__ uint32_t geglu_pair(const float* sums, float2 x, float2 weights) {
  return packed<bf16>(gelu_tanh_approx(sums[0] * (x.x * weights.x)) * (sums[2] * (x.x * weights.y)),
                      gelu_tanh_approx(sums[1] * (x.y * weights.x)) * (sums[3] * (x.y * weights.y)));
}

// Registers per thread: what the producer's warpgroup gives up, the consumers use.
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
static_assert(128 * kProducerRegisters + 256 * kConsumerRegisters <= 65536, "registers of a multiprocessor");

// weight: 8 rows of gate, then the same 8 rows of up, and so on, so that a thread accumulates both.
template <typename T>
__global__ void __launch_bounds__(T::kThreads, 1)
    geglu_gemm_kernel(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                      const __grid_constant__ CUtensorMap out, const float* weight_scale, const float* x_scale,
                      int weight_rows, int rows, int row_tiles, int tiles, int steps) {
  extern __shared__ uint8_t shared[];
  const uint32_t stages = (ptx::smem_address(shared) + 1023) & ~1023u;
  const uint32_t results = stages + T::kStages * T::kStageBytes;
  const uint32_t full = results + T::kConsumerGroups * T::kOutBytes, empty = full + 8 * T::kStages;
  const int warpgroup = __shfl_sync(~0u, threadIdx.x / 128, 0), lane = threadIdx.x % 32;
  const int first_tile = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);

  if (threadIdx.x == 0) {
    for (int i = 0; i < T::kStages; i++)
      ptx::mbarrier_init(full + 8 * i, 1), ptx::mbarrier_init(empty + 8 * i, 4 * T::kConsumerGroups);
    ptx::fence_mbarrier_init(), ptx::fence_proxy_async();
  }
  __syncthreads();

  if (warpgroup == T::kConsumerGroups) {
    ptx::setmaxnreg_dec<kProducerRegisters>();
    if (threadIdx.x % 128 != 0) return;
    ptx::prefetch_tensormap(&weight), ptx::prefetch_tensormap(&x), ptx::prefetch_tensormap(&out);
    const auto load_weight = [&](int stage, int step, int weight_row) {
      ptx::mbarrier_arrive_expect_tx(full + 8 * stage, T::kStageBytes);
      ptx::tma_load_2d(stages + stage * T::kStageBytes, &weight, step * T::kStep, weight_row, full + 8 * stage);
    };
    const int ahead = min(T::kStages, steps);  // weights do not depend on the predecessor kernel
    for (int step = 0; step < ahead; step++) load_weight(step, step, first_tile / row_tiles * T::kWeights);
    pdl_wait();
    int stage = 0, parity = 1;
    for (int tile = first_tile; tile < tiles; tile += blocks) {
      const int weight_row = tile / row_tiles * T::kWeights, row = tile % row_tiles * T::kRows;
#pragma unroll 1
      for (int step = 0; step < steps; step++) {
        if (tile > first_tile || step >= ahead) {
          ptx::mbarrier_wait(empty + 8 * stage, parity);
          load_weight(stage, step, weight_row);
        }
        ptx::tma_load_2d(stages + stage * T::kStageBytes + T::kWeightBytes, &x, step * T::kStep, row, full + 8 * stage);
        if (++stage == T::kStages) stage = 0, parity ^= 1;
      }
    }
    return;
  }

  ptx::setmaxnreg_inc<kConsumerRegisters>();
  const bool leader = threadIdx.x % 128 == 0;
  const uint32_t result = results + warpgroup * T::kOutBytes;
  const uint32_t scales = empty + 8 * T::kStages + warpgroup * T::kScaleBytes;  // of the tile's rows of x
  if constexpr (T::kScaled) pdl_wait();
  float sums[T::kHalves][T::kRows / 2];
  int stage = 0, parity = 0;
  for (int tile = first_tile; tile < tiles; tile += blocks) {
    const int weight_tile = tile / row_tiles, row = tile % row_tiles * T::kRows;
    float2 weight_scales[T::kHalves];  // of gate and up
    if constexpr (T::kScaled) {
      for (int i = static_cast<int>(threadIdx.x) % 128; i < T::kRows; i += 128)
        ptx::st_shared_f32(scales + 4 * i, row + i < rows ? x_scale[row + i] : 0.0f);
#pragma unroll
      for (int half = 0; half < T::kHalves; half++) {
        const int first = weight_tile * T::kWeights + (warpgroup * T::kHalves + half) * 64 +
                          static_cast<int>(threadIdx.x) / 32 % 4 * 16 + lane / 4;
        weight_scales[half] =
            first < weight_rows ? make_float2(weight_scale[first], weight_scale[first + 8]) : float2();
      }
    }
    int last = 0;
    for (int step = 0; step < steps; step++) {
      ptx::mbarrier_wait(full + 8 * stage, parity);
      const uint32_t stage_address = stages + stage * T::kStageBytes;
      const uint64_t weights = ptx::wgmma_descriptor_128b(stage_address + warpgroup * T::kHalves * 8192),
                     x_tile = ptx::wgmma_descriptor_128b(stage_address + T::kWeightBytes);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < 4; k++)
#pragma unroll
        for (int half = 0; half < T::kHalves; half++)
          // Descriptors count 16 bytes: 512 for 64 rows of weight, 2 for the columns of an instruction.
          ptx::wgmma<typename T::Value, T::kRows>(sums[half], weights + half * 512 + k * 2, x_tile + k * 2,
                                                  step > 0 || k > 0);
      ptx::wgmma_commit_group();
      ptx::wgmma_wait_group<1>();
      if (step > 0 && lane == 0) ptx::mbarrier_arrive(empty + 8 * last);
      last = stage;
      if (++stage == T::kStages) stage = 0, parity ^= 1;
    }
    ptx::wgmma_wait_group<0>();
#pragma unroll
    for (auto& half : sums) ptx::wgmma_fence_operand(half);
    if (lane == 0) ptx::mbarrier_arrive(empty + 8 * last);

    if (leader) ptx::cp_async_bulk_wait_group_read<0>();
    ptx::bar_sync(1 + warpgroup, 128);
#pragma unroll
    for (int half = 0; half < T::kHalves; half++) {
      const int chunk = half * 4 + static_cast<int>(threadIdx.x) / 32 % 4;
#pragma unroll
      for (int i = 0; i < T::kRows; i += 32) {
        // Rows i + 8 j to i + 8 j + 7 of x.
        const auto pair = [&](int j) {
          const float* const acc = sums[half] + i / 2 + 4 * j;
          if constexpr (T::kScaled)
            return geglu_pair(acc, ptx::ld_shared_v2(scales + 4 * (i + 8 * j + lane % 4 * 2)), weight_scales[half]);
          else
            return geglu_pair(acc);
        };
        const uint32_t row_address = result + (i + lane) * 128 + ((chunk ^ (lane & 7)) << 4);
        if (i + 32 <= T::kRows) {
          ptx::stmatrix_trans(row_address, pair(0), pair(1), pair(2), pair(3));
        } else {
          constexpr int kSixteen = T::kRows & 16;  // the rows that are left: 16, 8 or both
          if (kSixteen) ptx::stmatrix_trans(row_address, pair(0), pair(1));
          if (T::kRows & 8) ptx::stmatrix_trans(row_address + kSixteen * 128, pair(kSixteen / 8));
        }
      }
    }
    ptx::fence_proxy_async_shared();
    ptx::bar_sync(1 + warpgroup, 128);
    if (leader) ptx::tma_store_2d(&out, (weight_tile * T::kConsumerGroups + warpgroup) * T::kOutCols, row, result);
  }
  if (leader) ptx::cp_async_bulk_wait_group_read<0>();
}

struct GegluGemmOperands {
  Matrix x, weight, out;
  const float *x_scale, *weight_scale;  // null for bf16
};

template <typename Value, int kRows>
cudaError_t launch(const GegluGemmOperands& operands, cudaStream_t stream) {
  using T = GegluGemmTile<Value, kRows>;
  const auto& [x, weight, out, x_scale, weight_scale] = operands;
  cudaError_t result =
      cudaFuncSetAttribute(geglu_gemm_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
  CUtensorMap weight_map, x_map, out_map;
  if (result == cudaSuccess) result = tensor_map(weight, T::kWeights, &weight_map);
  if (result == cudaSuccess) result = tensor_map(x, kRows, &x_map);
  if (result == cudaSuccess) result = tensor_map(out, kRows, &out_map);
  if (result != cudaSuccess) return result;
  const int64_t row_tiles = ceil_div(x.rows, kRows), tiles = row_tiles * ceil_div(weight.rows, T::kWeights);
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(tiles, gpu().multiprocessors));
  return launch_pdl(geglu_gemm_kernel<T>, blocks, T::kThreads, T::kBytes, stream, weight_map, x_map, out_map,
                    weight_scale, x_scale, weight.rows, x.rows, row_tiles, tiles, ceil_div(x.cols, T::kStep));
}

// Launches the tile with the lowest cost: waves of tiles times cost of a tile.
struct GegluGemmVariant {
  int rows;
  cudaError_t (*launch)(const GegluGemmOperands&, cudaStream_t);
};
template <typename Value>
cudaError_t launch_best(const char* name, const GegluGemmOperands& operands, cudaStream_t stream) {
  static constexpr GegluGemmVariant kVariants[] = {
      {128, launch<Value, 128>}, {144, launch<Value, 144>}, {152, launch<Value, 152>}, {160, launch<Value, 160>},
      {168, launch<Value, 168>}, {176, launch<Value, 176>}, {184, launch<Value, 184>}, {192, launch<Value, 192>}};
  const Matrix &x = operands.x, &weight = operands.weight, &out = operands.out;
  if (weight.rows != 2 * out.cols || out.rows != x.rows || x.rows <= 0) return cudaErrorInvalidValue;
  constexpr int64_t kOverhead = 8;  // fixed cost of a tile, in rows (measured)
  const auto cost = [&](const GegluGemmVariant& variant) {
    return ceil_div(ceil_div(x.rows, variant.rows) * ceil_div(weight.rows, GegluGemmTile<Value, 128>::kWeights),
                    gpu().multiprocessors) *
           (variant.rows + kOverhead);
  };
  const GegluGemmVariant* best = std::min_element(std::begin(kVariants), std::end(kVariants),
                                                  [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
  return launched(name, best->launch(operands, stream));
}

// The first x.cols columns of a weight.
Matrix view(const Tensor& weight, const Matrix& x) {
  return {const_cast<void*>(weight.data), weight.dtype, weight.rows, x.cols, weight.cols};
}

}  // namespace

bool geglu_gemm_supported(const Matrix& x, const Tensor& weight, const Matrix& out) {
  return gpu().is_sm90() && tensor_map_encoder() && x.dtype == DType::BF16 && weight.dtype == DType::BF16 &&
         out.dtype == DType::BF16 && weight.rows % 16 == 0 && rows_aligned(x.data, x.stride) &&
         rows_aligned(weight.data, weight.cols) && rows_aligned(out.data, out.stride);
}

cudaError_t geglu_gemm(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream) {
  if (!geglu_gemm_supported(x, weight, out) || weight.cols < x.cols) return cudaErrorInvalidValue;
  return launch_best<bf16>("geglu_gemm", {x, view(weight, x), out, nullptr, nullptr}, stream);
}

bool geglu_gemm_supported(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& out) {
  return fp8_gemm_supported() && x.values.dtype == DType::E4M3 && weight.values.dtype == DType::E4M3 &&
         out.dtype == DType::BF16 && weight.values.rows % 16 == 0 &&
         rows_aligned_e4m3(x.values.data, x.values.stride) &&
         rows_aligned_e4m3(weight.values.data, weight.values.cols) && rows_aligned(out.data, out.stride);
}

cudaError_t geglu_gemm(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& out, cudaStream_t stream) {
  if (!geglu_gemm_supported(x, weight, out) || weight.values.cols < x.values.cols) return cudaErrorInvalidValue;
  return launch_best<fp8>("geglu_gemm_fp8", {x.values, view(weight.values, x.values), out, x.scale, weight.scale},
                          stream);
}

}  // namespace pi05::kernels
