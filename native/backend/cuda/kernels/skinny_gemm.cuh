// What the kernels of skinny_gemm.cu and skinny_gemm_sm90.cu share: which rows of weight a block has, and what becomes
// of their sums.
#pragma once

#include "backend/cuda/kernels/device.cuh"

namespace pi05::kernels::skinny_gemm {

struct Problem {
  const bf16 *x, *weight;
  int x_stride, weight_stride, rows;  // rows of x
  int steps;                          // of columns, of all or of a part
  // A block's rows of weight are two runs of equal length: block b's first begins at row b / per * pitch + b % per *
  // length, its second `distance` further on.
  int per, pitch, distance;
};

// What a sum of the first run and the one of the second run, `distance` rows further on, become.
struct AsPart {
  float* parts;
  int64_t step;
  int stride;
  __device__ void operator()(const Problem& p, int weight_row, int row, float first, float second) const {
    float* const to = parts + blockIdx.y * step + static_cast<int64_t>(row) * stride + weight_row;
    to[0] = first, to[p.distance] = second;
  }
};

struct Gated {
  bf16* out;
  int stride;
  __device__ void operator()(const Problem&, int weight_row, int row, float gate, float up) const {
    out[static_cast<int64_t>(row) * stride + weight_row] = narrow<bf16>(gelu_tanh_fast(gate) * up);
  }
};

// Rows of weight are those of q's, k's and v's heads; q and k turn by their position.
struct Turned {
  bf16 *q, *k, *v;
  int q_stride, k_stride, v_stride, heads, kv_heads, dim;
  const float2* cos_sin;  // of the first row's position
  __device__ void operator()(const Problem&, int weight_row, int row, float low, float high) const {
    const int head = weight_row / dim, i = weight_row - head * dim, half = dim / 2, kv = head - heads;
    const float2 turn = kv < kv_heads ? cos_sin[row * half + i] : make_float2(1, 0);
    bf16* const to = i + (kv < 0          ? q + static_cast<int64_t>(row) * q_stride + head * dim
                          : kv < kv_heads ? k + static_cast<int64_t>(row) * k_stride + kv * dim
                                          : v + static_cast<int64_t>(row) * v_stride + (kv - kv_heads) * dim);
    to[0] = narrow<bf16>(low * turn.x - high * turn.y);
    to[half] = narrow<bf16>(high * turn.x + low * turn.y);
  }
};

// skinny_gemm_sm90.cu: p with runs of 32 rows and steps of 64 columns; cudaErrorNotSupported where it cannot.
constexpr int kSm90Run = 32, kSm90Step = 64;
template <typename Finish>
cudaError_t launch_sm90(const Problem& p, int64_t blocks, int64_t parts, const Finish& finish, cudaStream_t stream);

}  // namespace pi05::kernels::skinny_gemm
