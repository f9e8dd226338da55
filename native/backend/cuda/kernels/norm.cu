// LayerNorm, RMSNorm and adaptive RMSNorm: a warp a row, the row in registers.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

constexpr float kEpsilon = 1e-6f;
constexpr int kMostWarps = 4;  // rows a block

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  return x;
}

// One row, Pairs pairs a lane at most.
template <int Pairs>
struct Row {
  float2 pair[Pairs];
  int pairs, lane;  // pairs: of the row

  __device__ Row(const float* x, int width) : pairs(width / 2), lane(static_cast<int>(threadIdx.x) % 32) {
#pragma unroll
    for (int i = 0; i < Pairs; i++) {
      const int at = lane + i * 32;
      pair[i] = at < pairs ? load2(x + 2 * at) : make_float2(0, 0);
    }
  }
  template <typename Body>
  __device__ __forceinline__ void each(Body body) {
#pragma unroll
    for (int i = 0; i < Pairs; i++) {
      const int at = lane + i * 32;
      if (at < pairs) body(2 * at, pair[i]);
    }
  }
  __device__ __forceinline__ float inverse_rms() {
    float sum = 0;
    each([&](int, float2 v) { sum += v.x * v.x + v.y * v.y; });
    return rsqrtf(warp_sum(sum) / static_cast<float>(2 * pairs) + kEpsilon);
  }
};

// What all three have in common.
template <typename Value>
struct Problem {
  const float* x;
  int64_t x_stride;
  Value* out;
  int64_t out_stride;
  int rows, width;

  __device__ int row() const { return static_cast<int>(blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32); }
};

// Each calls operator()(row's index, values, where they go).
template <typename Value>
struct LayerNorm {
  const float *weight, *bias;
  template <int Pairs>
  __device__ void operator()(int, Row<Pairs>& row, Value* out) const {
    const auto width = static_cast<float>(2 * row.pairs);
    float sum = 0;
    row.each([&](int, float2 v) { sum += v.x + v.y; });
    const float mean = warp_sum(sum) / width;
    sum = 0;
    row.each([&](int, float2 v) { sum += (v.x - mean) * (v.x - mean) + (v.y - mean) * (v.y - mean); });
    const float scale = rsqrtf(warp_sum(sum) / width + kEpsilon);
    row.each([&](int i, float2 v) {
      const float2 w = load2(weight + i), b = load2(bias + i);
      store2(out + i, make_float2((v.x - mean) * scale * w.x + b.x, (v.y - mean) * scale * w.y + b.y));
    });
  }
};

template <typename Value>
struct RmsNorm {
  const float* weight;
  template <int Pairs>
  __device__ void operator()(int, Row<Pairs>& row, Value* out) const {
    const float scale = row.inverse_rms();
    row.each([&](int i, float2 v) {
      const float2 w = load2(weight + i);
      store2(out + i, make_float2(v.x * scale * (1.0f + w.x), v.y * scale * (1.0f + w.y)));
    });
  }
};

template <typename Value>
struct AdaptiveRmsNorm {
  const float* modulation;
  int64_t stride;
  const int32_t* time_row;
  template <int Pairs>
  __device__ void operator()(int index, Row<Pairs>& row, Value* out) const {
    const float* const scales = modulation + time_row[index] * stride;
    const float* const shifts = scales + 2 * row.pairs;
    const float scale = row.inverse_rms();
    row.each([&](int i, float2 v) {
      const float2 w = load2(scales + i), b = load2(shifts + i);
      store2(out + i, make_float2(v.x * scale * (1.0f + w.x) + b.x, v.y * scale * (1.0f + w.y) + b.y));
    });
  }
};

template <typename Value, typename Norm, int Pairs>
__global__ void __launch_bounds__(32 * kMostWarps) norm_kernel(Problem<Value> p, Norm norm) {
  if (p.row() >= p.rows) return;
  Row<Pairs> row(p.x + p.row() * p.x_stride, p.width);
  norm(p.row(), row, p.out + p.row() * p.out_stride);
}

template <typename Value, typename Norm>
cudaError_t launch(const Matrix& x, const Matrix& out, Norm norm, cudaStream_t stream) {
  if (x.dtype != DType::F32 || x.cols % 2 != 0 || x.cols > 4096 || x.stride % 2 != 0 || out.stride % 2 != 0 ||
      out.rows != x.rows || out.cols != x.cols || x.rows <= 0)
    return cudaErrorInvalidValue;
  const Problem<Value> p{static_cast<const float*>(x.data), x.stride,
                         static_cast<Value*>(out.data),     out.stride,
                         static_cast<int>(x.rows),          static_cast<int>(x.cols)};
  const int warps = x.rows < 64 * kMostWarps ? 1 : kMostWarps;
  const auto go = [&](auto* kernel) {
    kernel<<<blocks_for(x.rows, warps), 32 * warps, 0, stream>>>(p, norm);
    return cudaGetLastError();
  };
  if (x.cols <= 512) return go(norm_kernel<Value, Norm, 8>);
  if (x.cols <= 1152) return go(norm_kernel<Value, Norm, 18>);
  if (x.cols <= 2048) return go(norm_kernel<Value, Norm, 32>);
  return go(norm_kernel<Value, Norm, 64>);
}

}  // namespace

cudaError_t layer_norm(const Matrix& x, const Affine& norm, const Matrix& out, cudaStream_t stream) {
  if (norm.weight.dtype != DType::F32 || norm.bias.dtype != DType::F32) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return launch<Value>(
        x, out,
        LayerNorm<Value>{static_cast<const float*>(norm.weight.data), static_cast<const float*>(norm.bias.data)},
        stream);
  });
}

cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream) {
  if (weight.dtype != DType::F32) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return launch<Value>(x, out, RmsNorm<Value>{static_cast<const float*>(weight.data)}, stream);
  });
}

cudaError_t adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                              cudaStream_t stream) {
  if (modulation.dtype != DType::F32 || modulation.stride % 2 != 0) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return launch<Value>(
        x, out, AdaptiveRmsNorm<Value>{static_cast<const float*>(modulation.data), modulation.stride, time_row},
        stream);
  });
}

}  // namespace pi05::kernels
