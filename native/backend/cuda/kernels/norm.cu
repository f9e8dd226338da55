// LayerNorm, RMSNorm and adaptive RMSNorm, each with the residual addition of the preceding split-K GEMM fused in.
// Launch: one block per row, which is kept in registers.
#include <algorithm>
#include <type_traits>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

constexpr int kMaxThreads = 512;
constexpr int kQuads = 2;  // float4 values per thread
constexpr float kEpsilon = 1e-6f;
static_assert(4 * kQuads * kMaxThreads == kMaxNormWidth);

// A thread's elements of a row: float4 threadIdx.x + i * blockDim.x.
struct RowSlice {
  float4 quad[kQuads];

  // Calls body(index of the float4 in the row, i) for each.
  template <typename Body>
  __device__ static void each(int width, Body body) {
#pragma unroll
    for (int i = 0; i < kQuads; i++) {
      const int index = static_cast<int>(threadIdx.x + i * blockDim.x);
      if (index < width / 4) body(index, i);
    }
  }
  __device__ void read(const float* row, int width) {
    each(width, [&](int index, int i) { quad[i] = reinterpret_cast<const float4*>(row)[index]; });
  }
  __device__ void write(float* row, int width) const {
    each(width, [&](int index, int i) { reinterpret_cast<float4*>(row)[index] = quad[i]; });
  }
  __device__ void add(const RowSlice& other) {
#pragma unroll
    for (int i = 0; i < kQuads; i++) {
      quad[i].x += other.quad[i].x, quad[i].y += other.quad[i].y;
      quad[i].z += other.quad[i].z, quad[i].w += other.quad[i].w;
    }
  }
  __device__ void multiply(const RowSlice& other) {
#pragma unroll
    for (int i = 0; i < kQuads; i++) {
      quad[i].x *= other.quad[i].x, quad[i].y *= other.quad[i].y;
      quad[i].z *= other.quad[i].z, quad[i].w *= other.quad[i].w;
    }
  }
  // The sum of body(value) over the row, returned to all threads.
  template <typename Body>
  __device__ float sum(int width, Body body) const {
    float sum = 0;
    each(width, [&](int, int i) { sum += body(quad[i].x) + body(quad[i].y) + body(quad[i].z) + body(quad[i].w); });
    return block_sum(sum);
  }
};

// x += sum of partials + bias; returns the row. All operands are loaded before the first addition, to overlap the
// loads.
template <int kSplits>
__device__ RowSlice add_partials(float* x, const SplitKPartials& partials, int width) {
  RowSlice row, added[kSplits + 1] = {};
  row.read(x, width);
  if (kSplits == 0) return row;
  if (partials.bias) added[kSplits].read(partials.bias, width);
#pragma unroll
  for (int part = 0; part < kSplits; part++)
    added[part].read(partials.data + part * partials.stride + blockIdx.x * static_cast<int64_t>(width), width);
#pragma unroll
  for (const RowSlice& part : added) row.add(part);
  row.write(x, width);
  return row;
}

// x += gates * sum of partials; returns the row.
template <int kSplits>
__device__ RowSlice add_gated_partials(float* x, const SplitKPartials& partials, const RowSlice& gates, int width) {
  RowSlice row, added[kSplits + 1] = {};
  row.read(x, width);
#pragma unroll
  for (int part = 0; part < kSplits; part++)
    added[part].read(partials.data + part * partials.stride + blockIdx.x * static_cast<int64_t>(width), width);
#pragma unroll
  for (int part = 0; part < kSplits; part++) added[kSplits].add(added[part]);
  if (kSplits > 0) {
    added[kSplits].multiply(gates);
    row.add(added[kSplits]);
    row.write(x, width);
  }
  return row;
}

// out = body(value, weight, bias)
template <typename Value, typename Body>
__device__ void write(const RowSlice& row, const RowSlice& weights, const RowSlice& biases, Value* out, int width,
                      Body body) {
  RowSlice::each(width, [&](int index, int i) {
    const float4 v = row.quad[i], w = weights.quad[i], b = biases.quad[i];
    store4(out + 4 * index,
           make_float4(body(v.x, w.x, b.x), body(v.y, w.y, b.y), body(v.z, w.z, b.z), body(v.w, w.w, b.w)));
  });
}

__device__ float inverse_rms(const RowSlice& row, int width) {
  return rsqrtf(row.sum(width, [](float v) { return v * v; }) / static_cast<float>(width) + kEpsilon);
}

template <typename Value, int kSplits>
__global__ void __launch_bounds__(kMaxThreads)
    layer_norm_kernel(float* x, int64_t x_stride, SplitKPartials partials, const float* weight, const float* bias,
                      Value* out, int64_t out_stride, int width) {
  pdl_trigger();
  RowSlice weights, biases;
  weights.read(weight, width), biases.read(bias, width);
  pdl_wait();
  const RowSlice row = add_partials<kSplits>(x + blockIdx.x * x_stride, partials, width);
  const float mean = row.sum(width, [](float v) { return v; }) / static_cast<float>(width);
  const float squares = row.sum(width, [&](float v) { return (v - mean) * (v - mean); });
  const float scale = rsqrtf(squares / static_cast<float>(width) + kEpsilon);
  write(row, weights, biases, out + blockIdx.x * out_stride, width,
        [&](float v, float w, float b) { return (v - mean) * scale * w + b; });
}

template <typename Value, int kSplits>
__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_kernel(float* x, int64_t x_stride, SplitKPartials partials, const float* weight, Value* out,
                    int64_t out_stride, int width) {
  pdl_trigger();
  RowSlice weights;
  weights.read(weight, width);
  pdl_wait();
  const RowSlice row = add_partials<kSplits>(x + blockIdx.x * x_stride, partials, width);
  const float scale = inverse_rms(row, width);
  write(row, weights, weights, out + blockIdx.x * out_stride, width,
        [&](float v, float w, float) { return v * scale * (1.0f + w); });
}

template <int kSplits>
__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_fp8_kernel(float* x, int64_t x_stride, SplitKPartials partials, const float* weight, fp8* out,
                        int64_t out_stride, float* out_scale, int width) {
  pdl_trigger();
  RowSlice weights;
  weights.read(weight, width);
  pdl_wait();
  RowSlice row = add_partials<kSplits>(x + blockIdx.x * x_stride, partials, width);
  const float scale = inverse_rms(row, width);
  float largest = 0;
  RowSlice::each(width, [&](int, int i) {
    float4& v = row.quad[i];
    const float4 w = weights.quad[i];
    v = make_float4(v.x * scale * (1.0f + w.x), v.y * scale * (1.0f + w.y), v.z * scale * (1.0f + w.z),
                    v.w * scale * (1.0f + w.w));
    largest = max_magnitude(max_magnitude(max_magnitude(max_magnitude(largest, v.x), v.y), v.z), v.w);
  });
  const RowScale quantized(block_max(largest));
  if (threadIdx.x == 0) out_scale[blockIdx.x] = quantized.scale;
  write(row, row, row, out + blockIdx.x * out_stride, width,
        [&](float v, float, float) { return v * quantized.inverse; });
}

template <typename Value, int kSplits>
__global__ void __launch_bounds__(kMaxThreads)
    adaptive_rms_norm_kernel(float* x, int64_t x_stride, SplitKPartials partials, const float* gate,
                             const float* modulation, int64_t modulation_stride, const int32_t* time_row, Value* out,
                             int64_t out_stride, int width) {
  pdl_trigger();
  RowSlice weights, biases, gates;
  const int64_t time = time_row[blockIdx.x] * modulation_stride;
  weights.read(modulation + time, width), biases.read(modulation + time + width, width);
  if (kSplits > 0) gates.read(gate + time, width);
  pdl_wait();
  const RowSlice row = add_gated_partials<kSplits>(x + blockIdx.x * x_stride, partials, gates, width);
  const float scale = inverse_rms(row, width);
  write(row, weights, biases, out + blockIdx.x * out_stride, width,
        [&](float v, float w, float b) { return v * scale * (1.0f + w) + b; });
}

bool fits(const Matrix& x, const Matrix& out) {
  return x.dtype == DType::F32 && x.cols % 4 == 0 && x.cols <= kMaxNormWidth && x.stride % 4 == 0 &&
         out.stride % 4 == 0 && out.rows == x.rows && out.cols == x.cols && x.rows > 0;
}

// Whole warps, so that each thread has at most kQuads float4.
unsigned threads_for(int64_t width) { return 32 * static_cast<unsigned>(ceil_div(width, 4 * kQuads * 32)); }

// Calls body with the number of splits as an integral constant.
template <typename Body>
cudaError_t by_splits(const SplitKPartials& partials, Body body) {
  if (partials.splits == 0) return body(std::integral_constant<int, 0>());
  if (partials.splits == 1) return body(std::integral_constant<int, 1>());
  if (partials.splits == 2) return body(std::integral_constant<int, 2>());
  if (partials.splits == 3) return body(std::integral_constant<int, 3>());
  if (partials.splits == 4) return body(std::integral_constant<int, 4>());
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t layer_norm(const Matrix& x, const Affine& norm, const Matrix& out, const SplitKPartials& partials,
                       cudaStream_t stream) {
  if (!fits(x, out) || norm.weight.dtype != DType::F32 || norm.bias.dtype != DType::F32) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    return by_splits(partials, [&](auto splits) {
      return launch_pdl(layer_norm_kernel<std::remove_pointer_t<decltype(type)>, decltype(splits)::value>,
                        static_cast<unsigned>(x.rows), threads_for(x.cols), 0, stream, x.data, x.stride, partials,
                        norm.weight.data, norm.bias.data, out.data, out.stride, x.cols);
    });
  });
}

cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out, const SplitKPartials& partials,
                     cudaStream_t stream) {
  if (!fits(x, out) || weight.dtype != DType::F32) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    return by_splits(partials, [&](auto splits) {
      return launch_pdl(rms_norm_kernel<std::remove_pointer_t<decltype(type)>, decltype(splits)::value>,
                        static_cast<unsigned>(x.rows), threads_for(x.cols), 0, stream, x.data, x.stride, partials,
                        weight.data, out.data, out.stride, x.cols);
    });
  });
}

cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Fp8Matrix& out, const SplitKPartials& partials,
                     cudaStream_t stream) {
  if (!fits(x, out.values) || weight.dtype != DType::F32 || out.values.dtype != DType::E4M3)
    return cudaErrorInvalidValue;
  return by_splits(partials, [&](auto splits) {
    return launch_pdl(rms_norm_fp8_kernel<decltype(splits)::value>, static_cast<unsigned>(x.rows), threads_for(x.cols),
                      0, stream, x.data, x.stride, partials, weight.data, out.values.data, out.values.stride, out.scale,
                      x.cols);
  });
}

cudaError_t adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                              const SplitKPartials& partials, const float* gate, cudaStream_t stream) {
  if (!fits(x, out) || modulation.dtype != DType::F32 || modulation.stride % 4 != 0 || partials.bias ||
      (partials.splits > 0) != (gate != nullptr))
    return cudaErrorInvalidValue;
  // One float4 per thread where possible: faster with few rows (measured).
  const unsigned threads = std::min<unsigned>(kMaxThreads, 32 * static_cast<unsigned>(ceil_div(x.cols, 4 * 32)));
  return by_type(out.dtype, [&](auto* type) {
    return by_splits(partials, [&](auto splits) {
      return launch_pdl(adaptive_rms_norm_kernel<std::remove_pointer_t<decltype(type)>, decltype(splits)::value>,
                        static_cast<unsigned>(x.rows), threads, 0, stream, x.data, x.stride, partials, gate,
                        modulation.data, modulation.stride, time_row, out.data, out.stride, x.cols);
    });
  });
}

}  // namespace pi05::kernels
