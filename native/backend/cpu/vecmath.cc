#include "backend/cpu/vecmath.h"

#include "backend/cpu/simd.h"

namespace pi05 {

void exp_f32(const float* x, float* y, int64_t n) { simd().exp_f32(x, y, n); }

void gelu_tanh(const float* x, float* y, int64_t n) { simd().gelu_tanh(x, y, n); }

void gelu_tanh_mul(const float* gate, const float* up, float* y, int64_t n) { simd().gelu_tanh_mul(gate, up, y, n); }

void softmax_row(float* x, int64_t n) { simd().softmax_row(x, n); }

void widen(const void* x, DType type, float* y, int64_t n) { simd().widen[static_cast<int>(type)](x, y, n); }

}  // namespace pi05
