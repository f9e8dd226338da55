// GEMMs with few rows of x (at most 64): out = x · weightᵀ with an epilogue, bf16. Compute capability 8.0 and newer.
//
// Launch: grid (n / (2 * kRun), splits), 8 warps. A block computes two runs of weight rows; its warps split K and add
// their sums at the end, in a fixed order. No element is read twice by a block, so each thread copies (cp.async)
// exactly what it multiplies, without synchronisation. Weight loads start before the predecessor kernel, which writes
// x, has finished (PDL).
#include <algorithm>

#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/kernels/ptx_sm80.cuh"
#include "backend/cuda/kernels/skinny_gemm.cuh"
#include "backend/cuda/launch_log.h"

namespace pi05::kernels {
namespace {

using namespace skinny_gemm;

constexpr int kStep = 32;  // columns (K) per warp and step: 4 threads load 16 bytes each of a row

// A block computes kTiles * 16 rows of weight. Prefetched steps: kDepth of weight, kAhead of x.
template <int kWarps_, int kTiles_, int kDepth_, int kAhead_>
struct SkinnyGemmTile {
  static constexpr int kWarps = kWarps_, kTiles = kTiles_, kDepth = kDepth_, kAhead = kAhead_;
  static constexpr int kThreads = 32 * kWarps, kRun = 8 * kTiles;  // rows of a run
  static constexpr int kRoundBytes = kThreads * kTiles * 32;       // a round: one step of each warp

  // Bytes of shared memory: for the weights, and then for the sums of all warps.
  static int shared(int row_groups, int rounds) {
    return std::max(std::min(kDepth, rounds) * kRoundBytes, kThreads * kTiles * row_groups * 16);
  }
};

// kRowGroups: groups of 8 rows of x.
template <typename T, int kRowGroups, typename Epilogue>
__global__ void __launch_bounds__(T::kThreads)
    skinny_gemm_kernel(const __grid_constant__ SkinnyGemmParams p, Epilogue epilogue) {
  extern __shared__ uint4 shared[];
  pdl_trigger();
  constexpr int kTiles = T::kTiles, kHalf = kTiles / 2;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int block = static_cast<int>(blockIdx.x);
  const int first_row = block / p.group_blocks * p.group_stride + block % p.group_blocks * T::kRun;
  const int rounds = (p.steps + T::kWarps - 1) / T::kWarps;
  const int column = (static_cast<int>(blockIdx.y) * p.steps + warp) * kStep + lane % 4 * 8;

  const bf16* const weight = p.weight + static_cast<int64_t>(first_row + lane / 4) * p.weight_stride + column;
  const auto load_weights = [&](int round) {
    if (round * T::kWarps + warp < p.steps) {
      uint4* const stage = shared + round % T::kDepth * kTiles * 2 * T::kThreads + thread;
      const bf16* const source = weight + round * T::kWarps * kStep;
#pragma unroll
      for (int i = 0; i < 2 * kTiles; i++)
        ptx::cp_async_16(ptx::smem_address(stage + i * T::kThreads),
                         source + (i / kTiles * p.run_distance + i % kTiles * 8) * p.weight_stride);
    }
    ptx::cp_async_commit_group();
  };
#pragma unroll 1
  for (int round = 0; round < T::kDepth; round++) load_weights(round);

  uint4 x[T::kAhead][kRowGroups];
  const auto load_x = [&](uint4(&fragment)[kRowGroups], int round) {
    if (round * T::kWarps + warp >= p.steps) return;
#pragma unroll
    for (int n = 0; n < kRowGroups; n++)
      fragment[n] = __ldcg(reinterpret_cast<const uint4*>(p.x + min(n * 8 + lane / 4, p.rows - 1) * p.x_stride +
                                                          column + round * T::kWarps * kStep));
  };
  pdl_wait();
#pragma unroll
  for (int i = 0; i < T::kAhead; i++) load_x(x[i], i);

  float sums[kTiles][kRowGroups][4] = {};
#pragma unroll 1
  for (int first_round = 0; first_round < rounds; first_round += T::kAhead) {
#pragma unroll
    for (int i = 0; i < T::kAhead; i++) {
      const int round = first_round + i;
      ptx::cp_async_wait_group<T::kDepth - 1>();
      if (round * T::kWarps + warp < p.steps) {
        const uint4* const stage = shared + round % T::kDepth * kTiles * 2 * T::kThreads + thread;
#pragma unroll
        for (int t = 0; t < kTiles; t++) {
          // Rows lane / 4 and lane / 4 + 8 of 16 rows of weight.
          const uint4 low = stage[2 * t * T::kThreads], high = stage[(2 * t + 1) * T::kThreads];
#pragma unroll
          for (int n = 0; n < kRowGroups; n++) {
            ptx::mma<bf16>(sums[t][n], {low.x, high.x, low.y, high.y}, x[i][n].x, x[i][n].y);
            ptx::mma<bf16>(sums[t][n], {low.z, high.z, low.w, high.w}, x[i][n].z, x[i][n].w);
          }
        }
      }
      load_x(x[i], round + T::kAhead);
      load_weights(round + T::kDepth);
    }
  }

  ptx::cp_async_wait_group<0>();
  __syncthreads();
  float4* const warp_sums = reinterpret_cast<float4*>(shared) + warp * kTiles * kRowGroups * 32 + lane;
#pragma unroll
  for (int t = 0; t < kTiles; t++)
#pragma unroll
    for (int n = 0; n < kRowGroups; n++)
      warp_sums[(t * kRowGroups + n) * 32] = make_float4(sums[t][n][0], sums[t][n][1], sums[t][n][2], sums[t][n][3]);
  __syncthreads();
  for (int item = thread; item < kHalf * kRowGroups * 32; item += T::kThreads) {
    float4 first{}, second{};  // of the first and the second run
    const float4* partial = reinterpret_cast<const float4*>(shared) + item;
#pragma unroll
    for (int w = 0; w < T::kWarps; w++, partial += kTiles * kRowGroups * 32) {
      const float4 a = partial[0], b = partial[kHalf * kRowGroups * 32];
      first.x += a.x, first.y += a.y, first.z += a.z, first.w += a.w;
      second.x += b.x, second.y += b.y, second.z += b.z, second.w += b.w;
    }
    const int weight_row = first_row + item / (32 * kRowGroups) * 16 + item % 32 / 4;
    const int row = item / 32 % kRowGroups * 8 + item % 4 * 2;
    if (row < p.rows) {
      epilogue(p, weight_row, row, first.x, second.x);
      epilogue(p, weight_row + 8, row, first.z, second.z);
    }
    if (row + 1 < p.rows) {
      epilogue(p, weight_row, row + 1, first.y, second.y);
      epilogue(p, weight_row + 8, row + 1, first.w, second.w);
    }
  }
}

template <typename T, typename Epilogue>
cudaError_t launch(SkinnyGemmParams p, int64_t blocks, int64_t splits, const Epilogue& epilogue, cudaStream_t stream) {
  const int rounds = (p.steps + T::kWarps - 1) / T::kWarps;
  const auto run = [&](auto* kernel, int row_groups) {
    const int shared = T::shared(row_groups, rounds);
    const cudaError_t result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    if (result != cudaSuccess) return result;
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(splits));
    return launch_pdl(kernel, grid, T::kThreads, shared, stream, p, epilogue);
  };
  if (p.rows <= 16) return run(skinny_gemm_kernel<T, 2, Epilogue>, 2);
  if (p.rows <= 32) return run(skinny_gemm_kernel<T, 4, Epilogue>, 4);
  if (p.rows <= 56) return run(skinny_gemm_kernel<T, 7, Epilogue>, 7);
  return run(skinny_gemm_kernel<T, 8, Epilogue>, 8);
}

SkinnyGemmParams make_params(const Matrix& x, const Tensor& weight, int64_t splits) {
  SkinnyGemmParams p{};
  p.x = static_cast<const bf16*>(x.data), p.weight = static_cast<const bf16*>(weight.data);
  p.x_stride = static_cast<int>(x.stride), p.weight_stride = static_cast<int>(weight.cols);
  p.rows = static_cast<int>(x.rows), p.steps = static_cast<int>(x.cols / kStep / splits);
  return p;
}

// Chooses the sm_90 kernel where it is supported. params_for(run) returns the parameters for runs of that many rows;
// `rows`: of weight.
template <typename T, typename ParamsFor, typename Epilogue>
cudaError_t launch_variant(int64_t rows, int64_t splits, ParamsFor params_for, const Epilogue& epilogue,
                           cudaStream_t stream) {
  SkinnyGemmParams p = params_for(kSm90Run);
  if (gpu().is_sm90() && p.steps % (kSm90Step / kStep) == 0) {
    p.steps /= kSm90Step / kStep;
    const cudaError_t result = launch_sm90(p, rows / (2 * kSm90Run), splits, epilogue, stream);
    if (result != cudaErrorNotSupported) return launched("skinny_gemm_sm90", result);
  }
  return launched("skinny_gemm", launch<T>(params_for(T::kRun), rows / (2 * T::kRun), splits, epilogue, stream));
}

using Narrow = SkinnyGemmTile<8, 2, 4, 2>;
using Wide = SkinnyGemmTile<8, 4, 4, 1>;  // reads x half as often, needs more shared memory

}  // namespace

bool skinny_gemm_supported(const Matrix& x, const Tensor& weight) {
  return x.dtype == DType::BF16 && weight.dtype == DType::BF16 && x.rows > 0 && x.rows <= kMaxSkinnyRows &&
         x.cols % kStep == 0 && weight.cols >= x.cols && weight.rows % 64 == 0 && rows_aligned(x.data, x.stride) &&
         rows_aligned(weight.data, weight.cols) && weight.rows * weight.cols < int64_t{1} << 31;  // 32-bit offsets
}

cudaError_t skinny_gemm_split_k(const Matrix& x, const Tensor& weight, int64_t splits, const Matrix& partials,
                                cudaStream_t stream) {
  if (!skinny_gemm_supported(x, weight) || partials.dtype != DType::F32 || partials.rows != splits * x.rows ||
      partials.cols != weight.rows || x.cols % (splits * kStep) != 0)
    return cudaErrorInvalidValue;
  const auto params_for = [&](int run) {
    SkinnyGemmParams p = make_params(x, weight, splits);
    p.group_blocks = 1, p.group_stride = 2 * run, p.run_distance = run;
    return p;
  };
  const StorePartial epilogue{static_cast<float*>(partials.data), x.rows * partials.stride,
                              static_cast<int>(partials.stride)};
  return launch_variant<Narrow>(weight.rows, splits, params_for, epilogue, stream);
}

cudaError_t skinny_gemm_geglu(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream) {
  if (!skinny_gemm_supported(x, weight) || out.dtype != DType::BF16 || out.rows != x.rows ||
      weight.rows != 2 * out.cols)
    return cudaErrorInvalidValue;
  const auto params_for = [&](int run) {
    SkinnyGemmParams p = make_params(x, weight, 1);
    p.group_blocks = static_cast<int>(out.cols / run), p.run_distance = static_cast<int>(out.cols);
    return p;
  };
  const GegluEpilogue epilogue{static_cast<bf16*>(out.data), static_cast<int>(out.stride)};
  const bool wide_fits = gpu().shared_memory_per_block >= Wide::shared(kMaxSkinnyRows / 8, Wide::kDepth);
  return wide_fits ? launch_variant<Wide>(weight.rows, 1, params_for, epilogue, stream)
                   : launch_variant<Narrow>(weight.rows, 1, params_for, epilogue, stream);
}

cudaError_t skinny_gemm_qkv_rope(const Matrix& x, const Tensor& weight, int64_t heads, int64_t kv_heads, int64_t first,
                                 const float2* cos_sin, const Matrix& q, const Matrix& k, const Matrix& v,
                                 cudaStream_t stream) {
  const int64_t all_heads = heads + 2 * kv_heads, dim = weight.rows / all_heads;
  const auto fits = [&](const Matrix& m, int64_t count) {
    return m.dtype == DType::BF16 && m.rows == x.rows && m.cols == count * dim;
  };
  if (!skinny_gemm_supported(x, weight) || weight.rows != all_heads * dim || dim % 64 != 0 || !fits(q, heads) ||
      !fits(k, kv_heads) || !fits(v, kv_heads))
    return cudaErrorInvalidValue;
  const auto params_for = [&](int run) {
    SkinnyGemmParams p = make_params(x, weight, 1);
    p.group_blocks = static_cast<int>(dim / 2 / run), p.group_stride = static_cast<int>(dim),
    p.run_distance = static_cast<int>(dim / 2);
    return p;
  };
  const QkvRopeEpilogue epilogue{static_cast<bf16*>(q.data), static_cast<bf16*>(k.data), static_cast<bf16*>(v.data),
                                 static_cast<int>(q.stride), static_cast<int>(k.stride), static_cast<int>(v.stride),
                                 static_cast<int>(heads),    static_cast<int>(kv_heads), static_cast<int>(dim),
                                 cos_sin + first * (dim / 2)};
  return launch_variant<Narrow>(weight.rows, 1, params_for, epilogue, stream);
}

}  // namespace pi05::kernels
