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

constexpr int kConsumerGroups = 2, kThreads = 128 * kConsumerGroups + 32;  // the last warp is the producer
constexpr int kDepth = 16;                                                 // pipeline stages of weights (measured)
constexpr int kWeightBytes = 64 * 128;                                     // of a stage: 64 rows, kSm90Step columns

// kRows: rows of x, rounded up. kAhead: pipeline stages of x.
template <int kRows, int kAhead, typename Epilogue>
__global__ void __launch_bounds__(kThreads)
    skinny_gemm_sm90_kernel(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                            const SkinnyGemmParams p, const Epilogue epilogue) {
  extern __shared__ uint8_t shared[];
  pdl_trigger();
  constexpr int kXBytes = kRows * 128;
  const int depth = min(kDepth, p.steps);
  const uint32_t weights = (ptx::smem_address(shared) + 1023) & ~1023u, x_stages = weights + depth * kWeightBytes;
  const uint32_t weight_full = x_stages + min(kAhead, p.steps) * kXBytes, x_full = weight_full + 8 * kDepth;
  const uint32_t empty = x_full + 8 * kAhead;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int warpgroup = __shfl_sync(~0u, thread / 128, 0), block = static_cast<int>(blockIdx.x);

  if (thread == 0) {
    for (int i = 0; i < kDepth; i++) ptx::mbarrier_init(weight_full + 8 * i, 1), ptx::mbarrier_init(empty + 8 * i, 4);
    for (int i = 0; i < kAhead; i++) ptx::mbarrier_init(x_full + 8 * i, 1);
    ptx::fence_mbarrier_init(), ptx::fence_proxy_async();
  }
  __syncthreads();

  if (warpgroup == kConsumerGroups) {
    if (lane != 0) return;
    const int first_step = static_cast<int>(blockIdx.y) * p.steps;
    const auto load_weights = [&](int step) {
      const uint32_t bar = weight_full + 8 * (step % kDepth);
      ptx::mbarrier_arrive_expect_tx(bar, kWeightBytes);
      ptx::tma_load_5d(weights + step % kDepth * kWeightBytes, &weight, (first_step + step) * kSm90Step, 0, 0,
                       block % p.group_blocks * 4, block / p.group_blocks, bar);
    };
    const auto load_x = [&](int step) {
      const uint32_t bar = x_full + 8 * (step % kAhead);
      ptx::mbarrier_arrive_expect_tx(bar, kXBytes);
      ptx::tma_load_2d(x_stages + step % kAhead * kXBytes, &x, (first_step + step) * kSm90Step, 0, bar);
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
  for (int step = warpgroup; step < p.steps; step += kConsumerGroups) {
    ptx::mbarrier_wait(weight_full + 8 * (step % kDepth), step / kDepth & 1);
    ptx::mbarrier_wait(x_full + 8 * (step % kAhead), step / kAhead & 1);
    const uint64_t weight_tile = ptx::wgmma_descriptor_128b(weights + step % kDepth * kWeightBytes);
    const uint64_t x_tile = ptx::wgmma_descriptor_128b(x_stages + step % kAhead * kXBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kSm90Step / 16; k++) ptx::wgmma<bf16, kRows>(sums, weight_tile + k * 2, x_tile + k * 2, true);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    if (lane == 0) ptx::mbarrier_arrive(empty + 8 * (step % kDepth));
  }
  ptx::wgmma_fence_operand(sums);

  // Each warpgroup runs the epilogue for half of the rows of x and gets the other's sums for them.
  constexpr int kHalf = kRows / 4;  // of a thread's sums
  ptx::bar_sync(1, 128 * kConsumerGroups);
  float* const others = reinterpret_cast<float*>(shared + (weights - ptx::smem_address(shared))) + thread % 128;
#pragma unroll
  for (int i = 0; i < kHalf; i++) others[(warpgroup * kHalf + i) * 128] = warpgroup == 0 ? sums[kHalf + i] : sums[i];
  ptx::bar_sync(1, 128 * kConsumerGroups);
  const int weight_row =
      block / p.group_blocks * p.group_stride + block % p.group_blocks * kSm90Run + thread % 128 / 32 * 8 + lane / 4;
#pragma unroll
  for (int i = 0; i < kHalf; i += 4) {
    float sum[4];
#pragma unroll
    for (int j = 0; j < 4; j++)
      sum[j] =
          warpgroup == 0 ? sums[i + j] + others[(kHalf + i + j) * 128] : others[(i + j) * 128] + sums[kHalf + i + j];
    const int row = warpgroup * kRows / 2 + i * 2 + lane % 4 * 2;
    if (row < p.rows) epilogue(p, weight_row, row, sum[0], sum[2]);
    if (row + 1 < p.rows) epilogue(p, weight_row, row + 1, sum[1], sum[3]);
  }
}

// Tensor map of weight with the dimensions columns, 8 rows, run (first, second), 8-row groups of the runs of
// group_blocks blocks, groups of blocks. A box is the rows of a block.
cudaError_t weight_map(const SkinnyGemmParams& p, int64_t blocks, int64_t cols, CUtensorMap* map) {
  const int64_t group_blocks = std::min<int64_t>(p.group_blocks, blocks);
  const auto size = [](int64_t value) { return static_cast<cuuint64_t>(value); };
  const int64_t row_bytes = p.weight_stride * int64_t{2};
  const cuuint64_t sizes[] = {size(cols), 8, 2, size(group_blocks * kSm90Run / 8), size(blocks / group_blocks)};
  const cuuint64_t strides[] = {size(row_bytes), size(p.run_distance * row_bytes), size(8 * row_bytes),
                                size(std::max(p.group_stride, 8) * row_bytes)};
  const cuuint32_t box[] = {kSm90Step, 8, 2, kSm90Run / 8, 1};
  return encode_tensor_map(const_cast<bf16*>(p.weight), sizes, strides, box, CU_TENSOR_MAP_SWIZZLE_128B, map);
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
