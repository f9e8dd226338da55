// Elementwise mathematics on fp32 rows, single-threaded: callers distribute rows over a ThreadPool. An element's result
// depends on its inputs only (softmax_row: on its row), not on where a range begins. y may be x.
#pragma once

#include <cstdint>

#include "backend/dtype.h"

namespace pi05 {

// y = exp(x), within 2 ulp; 0 below −104 and for −inf, inf above 88.73.
void exp_f32(const float* x, float* y, int64_t n);

// The tanh form of GELU: y = x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³))).
// Within 4 ulp for x > −1; within 5e-8 |x| below, where y tends to 0.
void gelu_tanh(const float* x, float* y, int64_t n);

// y = gelu_tanh(gate) · up; y may be gate or up.
void gelu_tanh_mul(const float* gate, const float* up, float* y, int64_t n);

// x = exp(x − max x) / Σ exp(x − max x) over one row of n ≥ 1. Elements at −inf become 0; at least one must be finite.
void softmax_row(float* x, int64_t n);

// y = x, converted from `type`; exact.
void widen(const void* x, DType type, float* y, int64_t n);

}  // namespace pi05
