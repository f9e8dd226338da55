// SigLIP's products on Hopper's warpgroups: tiles so many that one round of blocks is nearly the whole GPU. A block's
// tile is 128 rows of x by kCols rows of weight; the blocks of a cluster have the same rows of weight, of which each
// fetches a piece for all. Weights are on their way before the predecessor ends. Long sums are taken in parts, which
// the norm that reads them adds.
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

// What becomes of a sum: it is rounded to 16 bits, after a GELU or not, or is a part of one, in fp32.
enum class End { Round, Gelu, Part };

template <int kCols_, int kBlocks_>
struct Tile {
  static constexpr int kRows = 128, kCols = kCols_, kBlocks = kBlocks_;  // of x, of weight; of a cluster
  static constexpr int kWarps = 8, kThreads = 32 * (kWarps + 1);         // the last warp copies
  static constexpr int kStep = 64;                                       // columns in a stage: 128 bytes
  static constexpr int kRowBytes = kRows * 128, kStageBytes = kRowBytes + kCols * 128;
  static constexpr int kPiece = kCols / kBlocks;  // rows of weight that a block fetches for its cluster
  static constexpr int kFixed = 1024 + 128;       // to a multiple of 1024, barriers
  static constexpr int kStages = std::min((kShared - kFixed) / kStageBytes, 8);
  static constexpr int kBytes = kFixed + kStages * kStageBytes;
  static_assert(kCols % 16 == 0 && kPiece % 8 == 0 && kStages >= 4);
};

struct Problem {
  void* out;
  const void* bias;  // (cols) of x's type, or null
  int out_stride, rows, cols;
  int steps, part_steps;  // of all columns, of a part's
};

template <typename Value, End kEnd, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    siglip_gemm_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap weight,
                       const __grid_constant__ Problem p) {
  extern __shared__ uint8_t shared[];
  const uint32_t stages = (ptx::smem_address(shared) + 1023) & ~1023u;
  const uint32_t full = stages + Tile::kStages * Tile::kStageBytes, empty = full + 64;
  const int warp = __shfl_sync(~0u, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int row0 = static_cast<int>(blockIdx.x) * Tile::kRows, col0 = static_cast<int>(blockIdx.y) * Tile::kCols;
  const int part = static_cast<int>(blockIdx.z), first = part * p.part_steps;
  const int steps = min(p.part_steps, p.steps - first);

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
    const int piece = static_cast<int>(blockIdx.x) % Tile::kBlocks * Tile::kPiece;
    const auto load_weight = [&](int stage, int step) {
      ptx::mbarrier_arrive_expect_tx(full + 8 * stage, Tile::kStageBytes);
      ptx::tma_load_2d_multicast(stages + stage * Tile::kStageBytes + Tile::kRowBytes + piece * 128, &weight,
                                 (first + step) * Tile::kStep, col0 + piece, full + 8 * stage,
                                 (1 << Tile::kBlocks) - 1);
    };
    const auto load_x = [&](int stage, int step) {
      ptx::tma_load_2d(stages + stage * Tile::kStageBytes, &x, (first + step) * Tile::kStep, row0, full + 8 * stage);
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
    for (int i = 0; i < ahead; i++) {  // then no block reaches into this one's shared memory any more
      ptx::mbarrier_wait(empty + 8 * stage, parity);
      if (++stage == ahead) stage = 0, parity ^= 1;
    }
    return;
  }

  float sums[Tile::kCols / 2];
  if constexpr (kEnd != End::Part) {
    const int col = col0 + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < Tile::kCols / 8; j++) {
      float2 bias = make_float2(0, 0);
      if (p.bias && col + 8 * j < p.cols) bias = load2(static_cast<const Value*>(p.bias) + col + 8 * j);
      sums[4 * j] = sums[4 * j + 2] = bias.x, sums[4 * j + 1] = sums[4 * j + 3] = bias.y;
    }
  }
  pdl_wait();
  const uint32_t release = ptx::mapa(empty, lane % Tile::kBlocks);  // a lane for each block of the cluster
  int stage = 0, parity = 0, last = 0;
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    ptx::mbarrier_wait(full + 8 * stage, parity);
    const uint32_t at = stages + stage * Tile::kStageBytes;
    const uint64_t x_at = ptx::wgmma_descriptor_128b(at + warp / 4 * 8192),
                   weight_at = ptx::wgmma_descriptor_128b(at + Tile::kRowBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < Tile::kStep / 16; k++)
      ptx::wgmma<Value, Tile::kCols>(sums, x_at + k * 2, weight_at + k * 2, kEnd != End::Part || step > 0 || k > 0);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<1>();
    if (step > 0 && lane < Tile::kBlocks) ptx::mbarrier_arrive_remote(release + 8 * last);
    last = stage;
    if (++stage == Tile::kStages) stage = 0, parity ^= 1;
  }
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_fence_operand(sums);
  if (lane < Tile::kBlocks) ptx::mbarrier_arrive_remote(release + 8 * last);

  // Stages have room for results: a warp turns its 16 rows there, each with a gap that keeps banks apart.
  ptx::bar_sync(1, 32 * Tile::kWarps);
  using Out = std::conditional_t<kEnd == End::Part, float, Value>;
  constexpr int kWide = 16 / sizeof(Out), kChunks = Tile::kCols / kWide;  // values of 16 bytes, of a row
  constexpr int kGap = kEnd == End::Part ? 32 : 16, kStride = kChunks * 16 + kGap;
  static_assert(16 * Tile::kWarps * kStride <= Tile::kStages * Tile::kStageBytes);
  const uint32_t own = stages + warp * 16 * kStride;
  if constexpr (kEnd == End::Part) {
    const uint32_t to = own + lane / 4 * kStride + lane % 4 * 8;
#pragma unroll
    for (int j = 0; j < Tile::kCols / 8; j++) {
      ptx::st_shared_v2(to + 32 * j, sums[4 * j], sums[4 * j + 1]);
      ptx::st_shared_v2(to + 32 * j + 8 * kStride, sums[4 * j + 2], sums[4 * j + 3]);
    }
  } else {
    const auto pair = [&](int i) {
      if (kEnd == End::Gelu) return packed<Value>(gelu_tanh_fast(sums[i]), gelu_tanh_fast(sums[i + 1]));
      return packed<Value>(sums[i], sums[i + 1]);
    };
    const uint32_t to = own + lane % 16 * kStride + lane / 16 * 16;
#pragma unroll
    for (int j = 0; j < Tile::kCols / 16; j++)
      ptx::stmatrix(to + 32 * j, pair(8 * j), pair(8 * j + 2), pair(8 * j + 4), pair(8 * j + 6));
  }
  __syncwarp();
  const int64_t top = row0 + warp * 16;
  Out* const out = static_cast<Out*>(p.out) + (static_cast<int64_t>(part) * p.rows + top) * p.out_stride + col0;
#pragma unroll
  for (int i = 0; i < kChunks / 2; i++) {
    const int row = (i * 32 + lane) / kChunks, chunk = (i * 32 + lane) % kChunks;
    if (top + row < p.rows && col0 + kWide * chunk < p.cols)
      *reinterpret_cast<uint4*>(out + row * p.out_stride + kWide * chunk) =
          ptx::ld_shared_v4(own + row * kStride + 16 * chunk);
  }
}

// `parts` of weight's columns, the last of which may be shorter.
template <typename Value, End kEnd, typename T>
cudaError_t launch(const Matrix& x, const Matrix& weight, const void* bias, int64_t parts, const Matrix& out,
                   cudaStream_t stream) {
  const auto kernel = siglip_gemm_kernel<Value, kEnd, T>;
  cudaError_t result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
  CUtensorMap x_map, weight_map;
  if (result == cudaSuccess) result = tensor_map(x, T::kRows, &x_map);
  if (result == cudaSuccess) result = tensor_map(weight, T::kPiece, &weight_map);
  if (result != cudaSuccess) return result;
  const auto steps = static_cast<int>(blocks_for(x.cols, T::kStep));
  const Problem problem{out.data,
                        bias,
                        static_cast<int>(out.stride),
                        static_cast<int>(x.rows),
                        static_cast<int>(weight.rows),
                        steps,
                        static_cast<int>(blocks_for(steps, parts))};
  cudaLaunchAttribute attributes[2]{};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = T::kBlocks, attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = dim3(blocks_for(x.rows, T::kRows * T::kBlocks) * T::kBlocks,
                               blocks_for(weight.rows, T::kCols), static_cast<unsigned>(parts));
  configuration.blockDim = T::kThreads, configuration.dynamicSmemBytes = T::kBytes, configuration.stream = stream;
  configuration.attrs = attributes, configuration.numAttrs = 2;
  return cudaLaunchKernelEx(&configuration, kernel, x_map, weight_map, problem);
}

// Whether the GPU can run a cluster at all: under MPS a process may have too few multiprocessors. Queried once.
template <typename Value, End kEnd, typename T>
bool cluster_fits() {
  static const bool fits = [] {
    const auto kernel = siglip_gemm_kernel<Value, kEnd, T>;
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

struct Choice {
  int cols, blocks;
  decltype(&launch<bf16, End::Round, Tile<64, 2>>) launch;
  bool (*cluster_fits)();
};
template <typename Value, End kEnd, int kCols, int kBlocks>
constexpr Choice choice{kCols, kBlocks, launch<Value, kEnd, Tile<kCols, kBlocks>>,
                        cluster_fits<Value, kEnd, Tile<kCols, kBlocks>>};

// The narrowest tiles with which all blocks run at once; null where there are none.
template <size_t kCount>
const Choice* narrowest(const Choice (&choices)[kCount], int64_t rows, int64_t cols, int64_t parts) {
  const auto* found = std::find_if(std::begin(choices), std::end(choices), [&](const Choice& choice) {
    return int64_t{blocks_for(rows, 128 * choice.blocks)} * choice.blocks * blocks_for(cols, choice.cols) * parts <=
               gpu().multiprocessors &&
           choice.cluster_fits();
  });
  return found == std::end(choices) ? nullptr : found;
}

template <typename Value, End kEnd>
const Choice* choice_of(int64_t rows, int64_t cols, int64_t parts) {
  if constexpr (kEnd == End::Part) {
    static constexpr Choice kChoices[] = {choice<Value, kEnd, 64, 2>, choice<Value, kEnd, 128, 4>};
    return narrowest(kChoices, rows, cols, parts);
  } else {
    static constexpr Choice kChoices[] = {choice<Value, kEnd, 64, 2>,  choice<Value, kEnd, 80, 2>,
                                          choice<Value, kEnd, 112, 2>, choice<Value, kEnd, 144, 2>,
                                          choice<Value, kEnd, 160, 2>, choice<Value, kEnd, 208, 2>};
    return narrowest(kChoices, rows, cols, parts);
  }
}

template <End kEnd>
const Choice* choice_of(const Matrix& x, const Tensor& weight, int64_t parts) {
  const auto aligned = [](const void* data, int64_t stride) {
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
  };
  if (!gpu().is_hopper() || !tensor_map_encoder() || x.dtype == DType::F32 || weight.dtype != x.dtype ||
      weight.rows % 8 != 0 || weight.cols < x.cols || x.rows <= 0 || !aligned(x.data, x.stride) ||
      !aligned(weight.data, weight.cols))
    return nullptr;
  return x.dtype == DType::F16 ? choice_of<fp16, kEnd>(x.rows, weight.rows, parts)
                               : choice_of<bf16, kEnd>(x.rows, weight.rows, parts);
}

cudaError_t run(const Choice* choice, const Matrix& x, const Tensor& weight, const void* bias, int64_t parts,
                const Matrix& out, cudaStream_t stream) {
  if (!choice || out.rows != parts * x.rows || out.cols != weight.rows || out.stride % 8 != 0 ||
      reinterpret_cast<uintptr_t>(out.data) % 16 != 0)
    return cudaErrorInvalidValue;
  const Matrix rows{const_cast<void*>(weight.data), weight.dtype, weight.rows, x.cols, weight.cols};
  return launched("siglip_gemm", choice->launch(x, rows, bias, parts, out, stream));
}

}  // namespace

bool siglip_gemm_supported(const Matrix& x, const Tensor& weight) { return choice_of<End::Round>(x, weight, 1); }

cudaError_t siglip_gemm(const Matrix& x, const Tensor& weight, const void* bias, bool gelu, const Matrix& out,
                        cudaStream_t stream) {
  if (out.dtype != x.dtype) return cudaErrorInvalidValue;
  return run(gelu ? choice_of<End::Gelu>(x, weight, 1) : choice_of<End::Round>(x, weight, 1), x, weight, bias, 1, out,
             stream);
}

int64_t siglip_gemm_splits(const Matrix& x, const Tensor& weight) {
  const int64_t parts = x.cols > 2048 ? 3 : 1;
  return choice_of<End::Part>(x, weight, parts) ? parts : 0;
}

cudaError_t siglip_gemm_split_k(const Matrix& x, const Tensor& weight, const Matrix& parts, cudaStream_t stream) {
  const int64_t count = siglip_gemm_splits(x, weight);
  if (count == 0 || parts.dtype != DType::F32) return cudaErrorInvalidValue;
  return run(choice_of<End::Part>(x, weight, count), x, weight, nullptr, count, parts, stream);
}

}  // namespace pi05::kernels
