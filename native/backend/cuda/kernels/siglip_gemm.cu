// GEMMs of SigLIP by wgmma: out = x · weightᵀ with an epilogue. Compute capability 9.0.
//
// Launch: one wave, i.e. at most as many blocks as SMs; the tile size is chosen so that the wave is nearly full. Tile
// of a block: 128 rows of x by kCols rows of weight; two consumer warpgroups of 64 rows, one producer warp (TMA,
// mbarrier pipeline). The blocks of a cluster share their rows of weight: each loads a piece and multicasts it. Weight
// loads start before the predecessor kernel has finished (PDL). Long K is split (blockIdx.z); the norm that reads the
// partials adds them.
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

// Bias and BiasGelu round to 16 bits; Partial stores an fp32 split-K partial without bias.
enum class Epilogue { Bias, BiasGelu, Partial };

template <int kCols_, int kBlocks_>
struct SiglipGemmTile {
  static constexpr int kRows = 128, kCols = kCols_;               // rows of x, rows of weight
  static constexpr int kBlocks = kBlocks_;                        // per cluster
  static constexpr int kWarps = 8, kThreads = 32 * (kWarps + 1);  // the last warp is the producer
  static constexpr int kStep = 64;                                // columns (K) per stage: 128 bytes
  static constexpr int kXBytes = kRows * 128, kStageBytes = kXBytes + kCols * 128;
  static constexpr int kPiece = kCols / kBlocks;  // rows of weight that a block loads for its cluster
  static constexpr int kMaxStages = 8;
  static constexpr int kFixed = 1024 + 2 * 8 * kMaxStages;  // alignment to 1024, mbarriers
  static constexpr int kStages = std::min((kSm90SharedMemory - kFixed) / kStageBytes, kMaxStages);
  static constexpr int kBytes = kFixed + kStages * kStageBytes;
  static_assert(kCols % 16 == 0 && kPiece % 8 == 0 && kStages >= 4);
};

struct SiglipGemmParams {
  void* out;         // (splits * rows, cols)
  const void* bias;  // (cols) of x's type, or null
  int out_stride;
  int rows, cols;          // rows of x, rows of weight
  int steps, split_steps;  // pipeline steps of all of K, of one split
};

template <typename Value, Epilogue kEpilogue, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    siglip_gemm_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap weight,
                       const __grid_constant__ SiglipGemmParams p) {
  extern __shared__ uint8_t shared[];
  const uint32_t stages = (ptx::smem_address(shared) + 1023) & ~1023u;
  const uint32_t full = stages + Tile::kStages * Tile::kStageBytes, empty = full + 8 * Tile::kMaxStages;
  const int warp = __shfl_sync(~0u, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int row0 = static_cast<int>(blockIdx.x) * Tile::kRows, col0 = static_cast<int>(blockIdx.y) * Tile::kCols;
  const int split = static_cast<int>(blockIdx.z), first_step = split * p.split_steps;
  const int steps = min(p.split_steps, p.steps - first_step);

  pdl_trigger();
  if (threadIdx.x == 0) {
    for (int i = 0; i < Tile::kStages; i++)
      ptx::mbarrier_init(full + 8 * i, 1), ptx::mbarrier_init(empty + 8 * i, Tile::kWarps * Tile::kBlocks);
    ptx::fence_mbarrier_init(), ptx::fence_proxy_async();
  }
  __syncwarp();
  ptx::barrier_cluster_arrive_relaxed();
  ptx::barrier_cluster_wait();

  if (warp == Tile::kWarps) {
    if (lane != 0) return;
    ptx::prefetch_tensormap(&weight), ptx::prefetch_tensormap(&x);
    const int piece = static_cast<int>(blockIdx.x) % Tile::kBlocks * Tile::kPiece;  // first row of this block's piece
    const auto load_weight = [&](int stage, int step) {
      ptx::mbarrier_arrive_expect_tx(full + 8 * stage, Tile::kStageBytes);
      ptx::tma_load_2d_multicast(stages + stage * Tile::kStageBytes + Tile::kXBytes + piece * 128, &weight,
                                 (first_step + step) * Tile::kStep, col0 + piece, full + 8 * stage,
                                 (1 << Tile::kBlocks) - 1);
    };
    const auto load_x = [&](int stage, int step) {
      ptx::tma_load_2d(stages + stage * Tile::kStageBytes, &x, (first_step + step) * Tile::kStep, row0,
                       full + 8 * stage);
    };
    const int ahead = min(Tile::kStages, steps);
    for (int step = 0; step < ahead; step++) load_weight(step, step);
    pdl_wait();
    for (int step = 0; step < ahead; step++) load_x(step, step);
    int stage = 0, parity = 0;
#pragma unroll 1
    for (int step = ahead; step < steps; step++) {
      ptx::mbarrier_wait(empty + 8 * stage, parity);
      load_weight(stage, step), load_x(stage, step);
      if (++stage == Tile::kStages) stage = 0, parity ^= 1;
    }
    for (int i = 0; i < ahead; i++) {  // after this no block of the cluster accesses this one's shared memory
      ptx::mbarrier_wait(empty + 8 * stage, parity);
      if (++stage == ahead) stage = 0, parity ^= 1;
    }
    return;
  }

  float sums[Tile::kCols / 2];
  if constexpr (kEpilogue != Epilogue::Partial) {
    const int col = col0 + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < Tile::kCols / 8; j++) {
      float2 bias = make_float2(0, 0);
      if (p.bias && col + 8 * j < p.cols) bias = load2(static_cast<const Value*>(p.bias) + col + 8 * j);
      sums[4 * j] = sums[4 * j + 2] = bias.x, sums[4 * j + 1] = sums[4 * j + 3] = bias.y;
    }
  }
  pdl_wait();
  const uint32_t release = ptx::mapa(empty, lane % Tile::kBlocks);  // one lane per block of the cluster
  int stage = 0, parity = 0, last = 0;
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    ptx::mbarrier_wait(full + 8 * stage, parity);
    const uint32_t stage_address = stages + stage * Tile::kStageBytes;
    // Descriptors count 16 bytes: 2 for 16 columns. Each warpgroup has 64 rows of x, 8192 bytes.
    const uint64_t x_tile = ptx::wgmma_descriptor_128b(stage_address + warp / 4 * 8192);
    const uint64_t weight_tile = ptx::wgmma_descriptor_128b(stage_address + Tile::kXBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < Tile::kStep / 16; k++)
      ptx::wgmma<Value, Tile::kCols>(sums, x_tile + k * 2, weight_tile + k * 2,
                                     kEpilogue != Epilogue::Partial || step > 0 || k > 0);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<1>();
    if (step > 0 && lane < Tile::kBlocks) ptx::mbarrier_arrive_remote(release + 8 * last);
    last = stage;
    if (++stage == Tile::kStages) stage = 0, parity ^= 1;
  }
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_fence_operand(sums);
  if (lane < Tile::kBlocks) ptx::mbarrier_arrive_remote(release + 8 * last);

  // The results are staged in the pipeline's shared memory, 16 rows per warp, padded against bank conflicts.
  ptx::bar_sync(1, 32 * Tile::kWarps);
  using Out = std::conditional_t<kEpilogue == Epilogue::Partial, float, Value>;
  constexpr int kChunkCols = 16 / sizeof(Out), kChunks = Tile::kCols / kChunkCols;  // chunks of 16 bytes per row
  constexpr int kPadding = kEpilogue == Epilogue::Partial ? 32 : 16, kStride = kChunks * 16 + kPadding;
  static_assert(16 * Tile::kWarps * kStride <= Tile::kStages * Tile::kStageBytes);
  const uint32_t warp_rows = stages + warp * 16 * kStride;
  if constexpr (kEpilogue == Epilogue::Partial) {
    const uint32_t lane_row = warp_rows + lane / 4 * kStride + lane % 4 * 8;
#pragma unroll
    for (int j = 0; j < Tile::kCols / 8; j++) {
      ptx::st_shared_v2(lane_row + 32 * j, sums[4 * j], sums[4 * j + 1]);
      ptx::st_shared_v2(lane_row + 32 * j + 8 * kStride, sums[4 * j + 2], sums[4 * j + 3]);
    }
  } else {
    const auto pair = [&](int i) {
      if (kEpilogue == Epilogue::BiasGelu) return packed<Value>(gelu_tanh_fast(sums[i]), gelu_tanh_fast(sums[i + 1]));
      return packed<Value>(sums[i], sums[i + 1]);
    };
    const uint32_t lane_row = warp_rows + lane % 16 * kStride + lane / 16 * 16;
#pragma unroll
    for (int j = 0; j < Tile::kCols / 16; j++)
      ptx::stmatrix(lane_row + 32 * j, pair(8 * j), pair(8 * j + 2), pair(8 * j + 4), pair(8 * j + 6));
  }
  __syncwarp();
  const int64_t warp_row0 = row0 + warp * 16;
  Out* const out = static_cast<Out*>(p.out) + (static_cast<int64_t>(split) * p.rows + warp_row0) * p.out_stride + col0;
#pragma unroll
  for (int i = 0; i < kChunks / 2; i++) {
    const int row = (i * 32 + lane) / kChunks, chunk = (i * 32 + lane) % kChunks;
    if (warp_row0 + row < p.rows && col0 + kChunkCols * chunk < p.cols)
      *reinterpret_cast<uint4*>(out + row * p.out_stride + kChunkCols * chunk) =
          ptx::ld_shared_v4(warp_rows + row * kStride + 16 * chunk);
  }
}

// The last of `splits` splits of K may be shorter than the others.
template <typename Value, Epilogue kEpilogue, typename T>
cudaError_t launch(const Matrix& x, const Matrix& weight, const void* bias, int64_t splits, const Matrix& out,
                   cudaStream_t stream) {
  const auto kernel = siglip_gemm_kernel<Value, kEpilogue, T>;
  cudaError_t result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
  CUtensorMap x_map, weight_map;
  if (result == cudaSuccess) result = tensor_map(x, T::kRows, &x_map);
  if (result == cudaSuccess) result = tensor_map(weight, T::kPiece, &weight_map);
  if (result != cudaSuccess) return result;
  const auto steps = static_cast<int>(ceil_div(x.cols, T::kStep));
  const SiglipGemmParams params{out.data,
                                bias,
                                static_cast<int>(out.stride),
                                static_cast<int>(x.rows),
                                static_cast<int>(weight.rows),
                                steps,
                                static_cast<int>(ceil_div(steps, splits))};
  cudaLaunchAttribute attributes[2]{};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = T::kBlocks, attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = dim3(blocks_for(x.rows, T::kRows * T::kBlocks) * T::kBlocks,
                               blocks_for(weight.rows, T::kCols), static_cast<unsigned>(splits));
  configuration.blockDim = T::kThreads, configuration.dynamicSmemBytes = T::kBytes, configuration.stream = stream;
  configuration.attrs = attributes, configuration.numAttrs = 2;
  return cudaLaunchKernelEx(&configuration, kernel, x_map, weight_map, params);
}

// Whether the GPU can run a cluster at all: under MPS a process may have too few multiprocessors. Queried once.
template <typename Value, Epilogue kEpilogue, typename T>
bool cluster_fits() {
  static const bool fits = [] {
    const auto kernel = siglip_gemm_kernel<Value, kEpilogue, T>;
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = T::kBlocks, attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t configuration{};
    configuration.gridDim = T::kBlocks, configuration.blockDim = T::kThreads;
    configuration.dynamicSmemBytes = T::kBytes;
    configuration.attrs = &attribute, configuration.numAttrs = 1;
    int clusters = 0;
    cudaError_t result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
    if (result == cudaSuccess) result = cudaOccupancyMaxActiveClusters(&clusters, kernel, &configuration);
    if (result != cudaSuccess) cudaGetLastError();  // clear it: the next launch must not report it
    return clusters > 0;
  }();
  return fits;
}

struct SiglipGemmVariant {
  int cols, blocks;
  decltype(&launch<bf16, Epilogue::Bias, SiglipGemmTile<64, 2>>) launch;
  bool (*cluster_fits)();
};
template <typename Value, Epilogue kEpilogue, int kCols, int kBlocks>
constexpr SiglipGemmVariant kVariant{kCols, kBlocks, launch<Value, kEpilogue, SiglipGemmTile<kCols, kBlocks>>,
                                     cluster_fits<Value, kEpilogue, SiglipGemmTile<kCols, kBlocks>>};

// The narrowest tile with which all blocks fit into one wave; null where there is none.
template <size_t kCount>
const SiglipGemmVariant* narrowest(const SiglipGemmVariant (&variants)[kCount], int64_t rows, int64_t cols,
                                   int64_t splits) {
  const auto* found = std::find_if(std::begin(variants), std::end(variants), [&](const SiglipGemmVariant& variant) {
    return int64_t{blocks_for(rows, 128 * variant.blocks)} * variant.blocks * blocks_for(cols, variant.cols) * splits <=
               gpu().multiprocessors &&
           variant.cluster_fits();
  });
  return found == std::end(variants) ? nullptr : found;
}

template <typename Value, Epilogue kEpilogue>
const SiglipGemmVariant* variant_for(int64_t rows, int64_t cols, int64_t splits) {
  if constexpr (kEpilogue == Epilogue::Partial) {
    static constexpr SiglipGemmVariant kVariants[] = {kVariant<Value, kEpilogue, 64, 2>,
                                                      kVariant<Value, kEpilogue, 128, 4>};
    return narrowest(kVariants, rows, cols, splits);
  } else {
    static constexpr SiglipGemmVariant kVariants[] = {
        kVariant<Value, kEpilogue, 64, 2>,  kVariant<Value, kEpilogue, 80, 2>,  kVariant<Value, kEpilogue, 112, 2>,
        kVariant<Value, kEpilogue, 144, 2>, kVariant<Value, kEpilogue, 160, 2>, kVariant<Value, kEpilogue, 208, 2>};
    return narrowest(kVariants, rows, cols, splits);
  }
}

template <Epilogue kEpilogue>
const SiglipGemmVariant* variant_for(const Matrix& x, const Tensor& weight, int64_t splits) {
  if (!gpu().is_sm90() || !tensor_map_encoder() || x.dtype == DType::F32 || weight.dtype != x.dtype ||
      weight.rows % 8 != 0 || weight.cols < x.cols || x.rows <= 0 || !rows_aligned(x.data, x.stride) ||
      !rows_aligned(weight.data, weight.cols))
    return nullptr;
  return x.dtype == DType::F16 ? variant_for<fp16, kEpilogue>(x.rows, weight.rows, splits)
                               : variant_for<bf16, kEpilogue>(x.rows, weight.rows, splits);
}

cudaError_t run(const SiglipGemmVariant* variant, const Matrix& x, const Tensor& weight, const void* bias,
                int64_t splits, const Matrix& out, cudaStream_t stream) {
  if (!variant || out.rows != splits * x.rows || out.cols != weight.rows || !rows_aligned(out.data, out.stride))
    return cudaErrorInvalidValue;
  const Matrix weight_view{const_cast<void*>(weight.data), weight.dtype, weight.rows, x.cols, weight.cols};
  return launched("siglip_gemm", variant->launch(x, weight_view, bias, splits, out, stream));
}

}  // namespace

bool siglip_gemm_supported(const Matrix& x, const Tensor& weight) { return variant_for<Epilogue::Bias>(x, weight, 1); }

cudaError_t siglip_gemm(const Matrix& x, const Tensor& weight, const void* bias, bool gelu, const Matrix& out,
                        cudaStream_t stream) {
  if (out.dtype != x.dtype) return cudaErrorInvalidValue;
  return run(gelu ? variant_for<Epilogue::BiasGelu>(x, weight, 1) : variant_for<Epilogue::Bias>(x, weight, 1), x,
             weight, bias, 1, out, stream);
}

int64_t siglip_gemm_splits(const Matrix& x, const Tensor& weight) {
  const int64_t splits = x.cols > 2048 ? 3 : 1;  // SigLIP's fc2 in 3 splits, out in one (measured)
  return variant_for<Epilogue::Partial>(x, weight, splits) ? splits : 0;
}

cudaError_t siglip_gemm_split_k(const Matrix& x, const Tensor& weight, const Matrix& partials, cudaStream_t stream) {
  const int64_t splits = siglip_gemm_splits(x, weight);
  if (splits == 0 || partials.dtype != DType::F32) return cudaErrorInvalidValue;
  return run(variant_for<Epilogue::Partial>(x, weight, splits), x, weight, nullptr, splits, partials, stream);
}

}  // namespace pi05::kernels
