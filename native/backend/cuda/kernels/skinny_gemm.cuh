// Parameters and epilogues that skinny_gemm.cu and skinny_gemm_sm90.cu share.
#pragma once

#include "backend/cuda/kernels/device.cuh"

namespace pi05::kernels::skinny_gemm {

struct SkinnyGemmParams {
  const bf16 *x, *weight;  // (rows, k), (n, k)
  int x_stride, weight_stride;
  int rows;   // of x
  int steps;  // along K, of one split
  // The weight rows of a block are two runs of equal length, whose results the epilogue combines. The first run of
  // block b begins at row b / group_blocks * group_stride + b % group_blocks * length, the second run_distance rows
  // later.
  int group_blocks, group_stride, run_distance;
};

// Epilogues: called once for each row of x and each pair of weight rows (weight_row, weight_row + run_distance).
struct StorePartial {
  float* partials;  // (splits, rows of x, n)
  int64_t split_stride;
  int stride;
  __device__ void operator()(const SkinnyGemmParams& p, int weight_row, int row, float first, float second) const {
    float* const partial = partials + blockIdx.y * split_stride + static_cast<int64_t>(row) * stride + weight_row;
    partial[0] = first, partial[p.run_distance] = second;
  }
};

struct GegluEpilogue {
  bf16* out;  // (rows of x, n / 2)
  int stride;
  __device__ void operator()(const SkinnyGemmParams&, int weight_row, int row, float gate, float up) const {
    out[static_cast<int64_t>(row) * stride + weight_row] = narrow<bf16>(gelu_tanh_fast(gate) * up);
  }
};

// The rows of weight are the heads of q, k and v; RoPE on q and k.
struct QkvRopeEpilogue {
  bf16 *q, *k, *v;  // (rows of x, heads * dim), (rows of x, kv_heads * dim) twice
  int q_stride, k_stride, v_stride, heads, kv_heads, dim;
  const float2* cos_sin;  // (positions, dim / 2), from the position of row 0
  __device__ void operator()(const SkinnyGemmParams&, int weight_row, int row, float low, float high) const {
    const int head = weight_row / dim, i = weight_row - head * dim, half = dim / 2, kv = head - heads;
    const float2 rotation = kv < kv_heads ? cos_sin[row * half + i] : make_float2(1, 0);
    bf16* const out = i + (kv < 0          ? q + static_cast<int64_t>(row) * q_stride + head * dim
                           : kv < kv_heads ? k + static_cast<int64_t>(row) * k_stride + kv * dim
                                           : v + static_cast<int64_t>(row) * v_stride + (kv - kv_heads) * dim);
    out[0] = narrow<bf16>(low * rotation.x - high * rotation.y);
    out[half] = narrow<bf16>(high * rotation.x + low * rotation.y);
  }
};

// skinny_gemm_sm90.cu: launches `blocks` x `splits` blocks. p: runs of kSm90Run rows, steps of kSm90Step columns.
// Returns cudaErrorNotSupported where the driver cannot encode tensor maps.
constexpr int kSm90Run = 32, kSm90Step = 64;
template <typename Epilogue>
cudaError_t launch_sm90(const SkinnyGemmParams& p, int64_t blocks, int64_t splits, const Epilogue& epilogue,
                        cudaStream_t stream);

}  // namespace pi05::kernels::skinny_gemm
