// skinny_gemm.cu's GEMMs by wgmma. Compute capability 9.0.
//
// Launch: grid (n / 64, splits); two consumer warpgroups and a producer warp (TMA, mbarrier pipeline). A block computes
// 64 rows of weight; TMA interleaves 8 rows of the first run with 8 of the second, so that a thread accumulates both.
// The two warpgroups take alternate K steps and add their sums at the end.
#include <algorithm>

#include "backend/cuda/kernels/ptx_sm90.cuh"
#include "backend/cuda/kernels/skinny_gemm.cuh"
#include "backend/cuda/kernels/tensor_map.h"

namespace pi05::kernels::skinny_gemm {
namespace {

constexpr int kGroups = 2, kThreads = 128 * kGroups + 32;  // the last warp is the producer
constexpr int kDepth = 16, kWeightBytes = 64 * 128;        // pipeline stages of weights, bytes of a stage

// kRows: rows of x, rounded up. kAhead: pipeline stages of x.
template <int kRows, int kAhead, typename Epilogue>
__global__ void __launch_bounds__(kThreads)
    skinny_gemm_sm90_kernel(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                            const SkinnyGemmParams p, const Epilogue epilogue) {
  extern __shared__ uint8_t shared[];
  pdl_trigger();
  constexpr int kRowBytes = kRows * 128;
  const int depth = min(kDepth, p.steps);
  const uint32_t weights = (ptx::smem_address(shared) + 1023) & ~1023u, rows = weights + depth * kWeightBytes;
  const uint32_t weight_full = rows + min(kAhead, p.steps) * kRowBytes, x_full = weight_full + 8 * kDepth;
  const uint32_t empty = x_full + 8 * kAhead;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int group = __shfl_sync(~0u, thread / 128, 0), block = static_cast<int>(blockIdx.x);

  if (thread == 0) {
    for (int i = 0; i < kDepth; i++) ptx::mbarrier_init(weight_full + 8 * i, 1), ptx::mbarrier_init(empty + 8 * i, 4);
    for (int i = 0; i < kAhead; i++) ptx::mbarrier_init(x_full + 8 * i, 1);
    ptx::fence_mbarrier_init(), ptx::fence_proxy_async();
  }
  __syncthreads();

  if (group == kGroups) {
    if (lane != 0) return;
    const int first = static_cast<int>(blockIdx.y) * p.steps;
    const auto load_weights = [&](int step) {
      const uint32_t bar = weight_full + 8 * (step % kDepth);
      ptx::mbarrier_arrive_expect_tx(bar, kWeightBytes);
      ptx::tma_load_5d(weights + step % kDepth * kWeightBytes, &weight, (first + step) * kSm90Step, 0, 0,
                       block % p.per * 4, block / p.per, bar);
    };
    const auto load_x = [&](int step) {
      const uint32_t bar = x_full + 8 * (step % kAhead);
      ptx::mbarrier_arrive_expect_tx(bar, kRowBytes);
      ptx::tma_load_2d(rows + step % kAhead * kRowBytes, &x, (first + step) * kSm90Step, 0, bar);
    };
    for (int step = 0; step < depth; step++) load_weights(step);
    pdl_wait();
    for (int step = 0; step < min(kAhead, p.steps); step++) load_x(step);
    for (int step = 0; step < p.steps - min(kAhead, kDepth); step++) {
      ptx::mbarrier_wait(empty + 8 * (step % kDepth), step / kDepth & 1);
      if (step + kAhead < p.steps) load_x(step + kAhead);
      if (step + kDepth < p.steps) load_weights(step + kDepth);
    }
    return;
  }

  float sums[kRows / 2] = {};
  for (int step = group; step < p.steps; step += kGroups) {
    ptx::mbarrier_wait(weight_full + 8 * (step % kDepth), step / kDepth & 1);
    ptx::mbarrier_wait(x_full + 8 * (step % kAhead), step / kAhead & 1);
    const uint64_t weight_at = ptx::wgmma_descriptor_128b(weights + step % kDepth * kWeightBytes);
    const uint64_t x_at = ptx::wgmma_descriptor_128b(rows + step % kAhead * kRowBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kSm90Step / 16; k++) ptx::wgmma<bf16, kRows>(sums, weight_at + k * 2, x_at + k * 2, true);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    if (lane == 0) ptx::mbarrier_arrive(empty + 8 * (step % kDepth));
  }
  ptx::wgmma_fence_operand(sums);

  // Each warpgroup runs the epilogue of half of the rows of x.
  constexpr int kHalf = kRows / 4;
  ptx::bar_sync(1, 128 * kGroups);
  float* const others = reinterpret_cast<float*>(shared + (weights - ptx::smem_address(shared))) + thread % 128;
#pragma unroll
  for (int i = 0; i < kHalf; i++) others[(group * kHalf + i) * 128] = group == 0 ? sums[kHalf + i] : sums[i];
  ptx::bar_sync(1, 128 * kGroups);
  const int weight_row = block / p.per * p.pitch + block % p.per * kSm90Run + thread % 128 / 32 * 8 + lane / 4;
#pragma unroll
  for (int i = 0; i < kHalf; i += 4) {
    float sum[4];
#pragma unroll
    for (int j = 0; j < 4; j++)
      sum[j] = group == 0 ? sums[i + j] + others[(kHalf + i + j) * 128] : others[(i + j) * 128] + sums[kHalf + i + j];
    const int row = group * kRows / 2 + i * 2 + lane % 4 * 2;
    if (row < p.rows) epilogue(p, weight_row, row, sum[0], sum[2]);
    if (row + 1 < p.rows) epilogue(p, weight_row, row + 1, sum[1], sum[3]);
  }
}

// Dimensions: columns, 8 rows, run (first, second), groups of 8 rows in a run, groups of `per` blocks (`pitch` rows
// apart).
cudaError_t weight_map(const SkinnyGemmParams& p, int64_t blocks, int64_t cols, CUtensorMap* map) {
  const auto encode = tensor_map_encoder();
  if (!encode) return cudaErrorNotSupported;
  const int64_t per = std::min<int64_t>(p.per, blocks);
  const auto size = [](int64_t value) { return static_cast<cuuint64_t>(value); };
  const int64_t row = p.weight_stride * int64_t{2};
  const cuuint64_t sizes[] = {size(cols), 8, 2, size(per * kSm90Run / 8), size(blocks / per)};
  const cuuint64_t strides[] = {size(row), size(p.distance * row), size(8 * row), size(std::max(p.pitch, 8) * row)};
  const cuuint32_t box[] = {kSm90Step, 8, 2, kSm90Run / 8, 1}, steps[] = {1, 1, 1, 1, 1};
  const CUresult result = encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 5, const_cast<bf16*>(p.weight), sizes, strides,
                                 box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

template <int kRows, int kAhead, typename Epilogue>
cudaError_t launch(const SkinnyGemmParams& p, int64_t blocks, int64_t splits, const Epilogue& epilogue,
                   cudaStream_t stream) {
  const auto kernel = skinny_gemm_sm90_kernel<kRows, kAhead, Epilogue>;
  const int shared = 1024 + std::min(kDepth, p.steps) * kWeightBytes + std::min(kAhead, p.steps) * kRows * 128 +
                     8 * (2 * kDepth + kAhead);
  const int64_t cols = p.steps * splits * kSm90Step;
  const Matrix rows{const_cast<bf16*>(p.x), DType::BF16, p.rows, cols, p.x_stride};
  CUtensorMap weight, x;
  cudaError_t result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  if (result == cudaSuccess) result = weight_map(p, blocks, cols, &weight);
  if (result == cudaSuccess) result = tensor_map(rows, kRows, &x);
  if (result != cudaSuccess) return result;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(splits));
  return launch_pdl(kernel, grid, kThreads, shared, stream, weight, x, p, epilogue);
}

}  // namespace

template <typename Epilogue>
cudaError_t launch_sm90(const SkinnyGemmParams& p, int64_t blocks, int64_t splits, const Epilogue& epilogue,
                        cudaStream_t stream) {
  if (p.rows <= 16) return launch<16, 16>(p, blocks, splits, epilogue, stream);
  if (p.rows <= 32) return launch<32, 16>(p, blocks, splits, epilogue, stream);
  return launch<64, 8>(p, blocks, splits, epilogue, stream);
}

template cudaError_t launch_sm90(const SkinnyGemmParams&, int64_t, int64_t, const StorePartial&, cudaStream_t);
template cudaError_t launch_sm90(const SkinnyGemmParams&, int64_t, int64_t, const GegluEpilogue&, cudaStream_t);
template cudaError_t launch_sm90(const SkinnyGemmParams&, int64_t, int64_t, const QkvRopeEpilogue&, cudaStream_t);

}  // namespace pi05::kernels::skinny_gemm
