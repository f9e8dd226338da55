#include "backend/cpu/vecmath.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pi05 {
namespace {

float widen_one(uint16_t half, DType type) {
  uint32_t bits = uint32_t{half} << 16;
  float value;
  if (type == DType::F16) {
    const uint32_t sign = bits & 0x80000000u;
    const uint32_t magnitude = (bits & 0x7fff0000u) >> 3;
    std::memcpy(&value, &magnitude, 4);
    value *= 0x1p112f;
    std::memcpy(&bits, &value, 4);
    if (magnitude >= 0x0f800000u) bits |= 0x7f800000u;
    bits |= sign;
  }
  std::memcpy(&value, &bits, 4);
  return value;
}

float gelu_one(float x) {
  const double d = x;
  return static_cast<float>(0.5 * d * (1 + std::tanh(0.7978845608028654 * (d + 0.044715 * d * d * d))));
}

}  // namespace

void exp_f32(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = static_cast<float>(std::exp(static_cast<double>(x[i])));
}

void gelu_tanh(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = gelu_one(x[i]);
}

void gelu_tanh_mul(const float* gate, const float* up, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = gelu_one(gate[i]) * up[i];
}

void softmax_row(float* x, int64_t n) {
  const float top = *std::max_element(x, x + n);
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] = std::exp(x[i] - top);
  for (int64_t i = 0; i < n; i++) x[i] = static_cast<float>(x[i] / sum);
}

void widen(const void* x, DType type, float* y, int64_t n) {
  if (type == DType::F32) {
    std::memcpy(y, x, static_cast<size_t>(n) * 4);
    return;
  }
  for (int64_t i = 0; i < n; i++) y[i] = widen_one(static_cast<const uint16_t*>(x)[i], type);
}

}  // namespace pi05
