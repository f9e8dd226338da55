// Operations by row of the CPU backend: norms, RoPE and the elementwise steps of the flow.
#include <cmath>
#include <cstring>

#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/vecmath.h"

namespace pi05 {
namespace {

constexpr float kEpsilon = 1e-6f;

// Sixteen partial sums, so that the loop is vectorised and the order is fixed.
template <typename Value>
float sum_over(int64_t n, Value value) {
  float lane[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t l = 0; l < 16; l++) lane[l] += value(i + l);
  for (int64_t l = 0; i < n; i++, l++) lane[l] += value(i);
  double sum = 0;
  for (const float part : lane) sum += part;
  return static_cast<float>(sum);
}

float inverse_rms(const float* x, int64_t n) {
  return 1.0f / std::sqrt(sum_over(n, [x](int64_t i) { return x[i] * x[i]; }) / static_cast<float>(n) + kEpsilon);
}

}  // namespace

void CpuOps::layer_norm(const Matrix& x, const Affine& norm, const Matrix& out) {
  const float* weight = static_cast<const float*>(norm.weight.data);
  const float* bias = static_cast<const float*>(norm.bias.data);
  const int64_t n = x.cols;
  for_each_row(x.rows, [&](int64_t r) {
    const float* from = row(x, r);
    float* to = row(out, r);
    const float mean = sum_over(n, [from](int64_t i) { return from[i]; }) / static_cast<float>(n);
    const float variance = sum_over(n, [&](int64_t i) { return (from[i] - mean) * (from[i] - mean); });
    const float scale = 1.0f / std::sqrt(variance / static_cast<float>(n) + kEpsilon);
    for (int64_t i = 0; i < n; i++) to[i] = (from[i] - mean) * scale * weight[i] + bias[i];
  });
}

void CpuOps::rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out) {
  const float* w = static_cast<const float*>(weight.data);
  for_each_row(x.rows, [&](int64_t r) {
    const float* from = row(x, r);
    float* to = row(out, r);
    const float scale = inverse_rms(from, x.cols);
    for (int64_t i = 0; i < x.cols; i++) to[i] = from[i] * scale * (1.0f + w[i]);
  });
}

void CpuOps::adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out) {
  for_each_row(x.rows, [&](int64_t r) {
    const float* from = row(x, r);
    const float* scale = row(modulation, time_row[r]);
    const float* shift = scale + x.cols;
    float* to = row(out, r);
    const float inverse = inverse_rms(from, x.cols);
    for (int64_t i = 0; i < x.cols; i++) to[i] = from[i] * inverse * (1.0f + scale[i]) + shift[i];
  });
}

void CpuOps::rope(const Matrix& x, int64_t heads, int64_t first) {
  const int64_t dim = x.cols / heads, half = dim / 2;
  for_each_row(x.rows, [&](int64_t r) {
    const float* cosine = &cosine_[static_cast<size_t>((first + r) * half)];
    const float* sine = &sine_[static_cast<size_t>((first + r) * half)];
    for (int64_t h = 0; h < heads; h++) {
      float* low = row(x, r) + h * dim;
      float* high = low + half;
      for (int64_t i = 0; i < half; i++) {
        const float a = low[i], b = high[i];
        low[i] = a * cosine[i] - b * sine[i];
        high[i] = b * cosine[i] + a * sine[i];
      }
    }
  });
}

void CpuOps::silu(const Matrix& x) {
  for_each_row(x.rows, [&](int64_t r) {
    float* value = row(x, r);
    for (int64_t i = 0; i < x.cols; i++) value[i] = value[i] / (1.0f + std::exp(-value[i]));
  });
}

void CpuOps::copy(const Matrix& from, const Matrix& to) {
  for_each_row(to.rows, [&](int64_t r) {
    std::memcpy(row(to, r), row(from, r % from.rows), static_cast<size_t>(to.cols) * sizeof(float));
  });
}

void CpuOps::start(const Inputs& in, const Matrix& x) {
  for (int64_t r = 0; r < x.rows; r++)
    std::memcpy(row(x, r), (in.frozen_mask[r] != 0 ? in.prev_chunk : in.noise) + r * x.cols,
                static_cast<size_t>(x.cols) * sizeof(float));
}

void CpuOps::euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x) {
  const float t = in.times[step], dt = static_cast<float>(-1.0 / static_cast<double>(steps));
  for (int64_t r = 0; r < x.rows; r++) {
    float *v = row(velocity, r), *value = row(x, r);
    const float* target = in.prev_chunk + r * x.cols;
    for (int64_t i = 0; i < x.cols; i++) {
      const float error = (target[i] - (value[i] - t * v[i])) * in.prefix_weights[r];
      v[i] -= in.guidance_weights[step] * error;
      value[i] = in.frozen_mask[r] != 0 ? target[i] : value[i] + dt * v[i];
    }
  }
}

}  // namespace pi05
