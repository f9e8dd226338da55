// LayerNorm, RMSNorm and adaptive RMSNorm: a block a row, the row in registers.
#include <type_traits>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

constexpr int kThreads = 512;
constexpr int kPairs = 4;  // a thread at most
constexpr float kEpsilon = 1e-6f;

struct Row {
  float2 pair[kPairs];
  int pairs;  // of the row

  __device__ Row(const float* x, int width) : pairs(width / 2) {
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      pair[i] = at < pairs ? load2(x + 2 * at) : make_float2(0, 0);
    }
  }
  // Adds the parts of a product and its bias to the row and to x, where it came from. All are read before any is added.
  template <int kParts>
  __device__ void add(const Parts& parts, int64_t stride, float* x) {
    if (kParts == 0) return;
    float2 values[kParts + 1][kPairs];
    const float* from = parts.data + blockIdx.x * stride;
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      if (at >= pairs) continue;
      values[0][i] = parts.bias ? load2(parts.bias + 2 * at) : make_float2(0, 0);
#pragma unroll
      for (int part = 0; part < kParts; part++) values[part + 1][i] = load2(from + part * parts.step + 2 * at);
    }
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      if (at >= pairs) continue;
#pragma unroll
      for (int part = 0; part <= kParts; part++) pair[i].x += values[part][i].x, pair[i].y += values[part][i].y;
      store2(x + 2 * at, pair[i]);
    }
  }
  // The same places of another row, read while the sums are taken.
  __device__ void also(const float* from, float2 (&to)[kPairs]) const {
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      if (at < pairs) to[i] = __ldg(reinterpret_cast<const float2*>(from) + at);
    }
  }
  template <typename Body>
  __device__ void each(Body body) {
#pragma unroll
    for (int i = 0; i < kPairs; i++) {
      const int at = static_cast<int>(threadIdx.x) + i * kThreads;
      if (at < pairs) body(2 * at, pair[i], i);
    }
  }
};

__device__ float inverse_rms(Row& row, int width) {
  float sum = 0;
  row.each([&](int, float2 v, int) { sum += v.x * v.x + v.y * v.y; });
  return rsqrtf(block_sum(sum) / static_cast<float>(width) + kEpsilon);
}

template <typename Value, int kParts>
__global__ void __launch_bounds__(kThreads)
    layer_norm_kernel(float* x, int64_t x_stride, Parts parts, const float* weight, const float* bias, Value* out,
                      int64_t out_stride, int width) {
  Row row(x + blockIdx.x * x_stride, width);
  float2 weights[kPairs], biases[kPairs];
  row.also(weight, weights);
  row.also(bias, biases);
  row.template add<kParts>(parts, width, x + blockIdx.x * x_stride);
  float sum = 0;
  row.each([&](int, float2 v, int) { sum += v.x + v.y; });
  const float mean = block_sum(sum) / static_cast<float>(width);
  sum = 0;
  row.each([&](int, float2 v, int) { sum += (v.x - mean) * (v.x - mean) + (v.y - mean) * (v.y - mean); });
  const float scale = rsqrtf(block_sum(sum) / static_cast<float>(width) + kEpsilon);
  out += blockIdx.x * out_stride;
  row.each([&](int at, float2 v, int i) {
    const float2 w = weights[i], b = biases[i];
    store2(out + at, make_float2((v.x - mean) * scale * w.x + b.x, (v.y - mean) * scale * w.y + b.y));
  });
}

template <typename Value, int kParts>
__global__ void __launch_bounds__(kThreads)
    rms_norm_kernel(float* x, int64_t x_stride, Parts parts, const float* weight, Value* out, int64_t out_stride,
                    int width) {
  begin_successor();
  Row row(x + blockIdx.x * x_stride, width);
  float2 weights[kPairs];
  row.also(weight, weights);
  row.template add<kParts>(parts, width, x + blockIdx.x * x_stride);
  const float scale = inverse_rms(row, width);
  out += blockIdx.x * out_stride;
  row.each([&](int at, float2 v, int i) {
    const float2 w = weights[i];
    store2(out + at, make_float2(v.x * scale * (1.0f + w.x), v.y * scale * (1.0f + w.y)));
  });
}

template <typename Value>
__global__ void __launch_bounds__(kThreads)
    adaptive_kernel(const float* x, int64_t x_stride, const float* modulation, int64_t modulation_stride,
                    const int32_t* time_row, Value* out, int64_t out_stride, int width) {
  Row row(x + blockIdx.x * x_stride, width);
  const float* scales = modulation + time_row[blockIdx.x] * modulation_stride;
  float2 weights[kPairs], biases[kPairs];
  row.also(scales, weights);
  row.also(scales + width, biases);
  const float scale = inverse_rms(row, width);
  out += blockIdx.x * out_stride;
  row.each([&](int at, float2 v, int i) {
    const float2 w = weights[i], b = biases[i];
    store2(out + at, make_float2(v.x * scale * (1.0f + w.x) + b.x, v.y * scale * (1.0f + w.y) + b.y));
  });
}

bool fits(const Matrix& x, const Matrix& out) {
  return x.dtype == DType::F32 && x.cols % 2 == 0 && x.cols <= 2 * kPairs * kThreads && x.stride % 2 == 0 &&
         out.stride % 2 == 0 && out.rows == x.rows && out.cols == x.cols && x.rows > 0;
}

// Calls body with an integral constant.
template <typename Body>
cudaError_t by_count(const Parts& parts, Body body) {
  if (parts.count == 0) return body(std::integral_constant<int, 0>());
  if (parts.count == 1) return body(std::integral_constant<int, 1>());
  if (parts.count == 2) return body(std::integral_constant<int, 2>());
  if (parts.count == 4) return body(std::integral_constant<int, 4>());
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t layer_norm(const Matrix& x, const Affine& norm, const Matrix& out, const Parts& parts,
                       cudaStream_t stream) {
  if (!fits(x, out) || norm.weight.dtype != DType::F32 || norm.bias.dtype != DType::F32) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    return by_count(parts, [&](auto count) {
      layer_norm_kernel<std::remove_pointer_t<decltype(type)>, decltype(count)::value>
          <<<static_cast<unsigned>(x.rows), kThreads, 0, stream>>>(
              static_cast<float*>(x.data), x.stride, parts, static_cast<const float*>(norm.weight.data),
              static_cast<const float*>(norm.bias.data), static_cast<decltype(type)>(out.data), out.stride,
              static_cast<int>(x.cols));
      return cudaGetLastError();
    });
  });
}

cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out, const Parts& parts,
                     cudaStream_t stream) {
  if (!fits(x, out) || weight.dtype != DType::F32) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    return by_count(parts, [&](auto count) {
      rms_norm_kernel<std::remove_pointer_t<decltype(type)>, decltype(count)::value>
          <<<static_cast<unsigned>(x.rows), kThreads, 0, stream>>>(
              static_cast<float*>(x.data), x.stride, parts, static_cast<const float*>(weight.data),
              static_cast<decltype(type)>(out.data), out.stride, static_cast<int>(x.cols));
      return cudaGetLastError();
    });
  });
}

cudaError_t adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                              cudaStream_t stream) {
  if (!fits(x, out) || modulation.dtype != DType::F32 || modulation.stride % 2 != 0) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    adaptive_kernel<<<static_cast<unsigned>(x.rows), kThreads, 0, stream>>>(
        static_cast<const float*>(x.data), x.stride, static_cast<const float*>(modulation.data), modulation.stride,
        time_row, static_cast<decltype(type)>(out.data), out.stride, static_cast<int>(x.cols));
    return cudaGetLastError();
  });
}

}  // namespace pi05::kernels
