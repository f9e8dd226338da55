// The loops of vecmath.h for one instruction set. The remainder of a row is copied to a vector and computed as one, so
// that an element's result does not depend on its position.
#pragma once

#include "backend/cpu/simd_vector.h"

namespace pi05 {
namespace {

// Lanes from a where the mask is all ones, from b where it is zero.
template <typename Mask>
PI05_INLINE Floats select(Mask mask, Floats a, Floats b) {
  const Words m = reinterpret_cast<Words>(mask);
  return reinterpret_cast<Floats>((reinterpret_cast<Words>(a) & m) | (reinterpret_cast<Words>(b) & ~m));
}

// 2^n · e^r with n = round(x / ln 2) and |r| ≤ ln 2 / 2, where Taylor's series to r⁷ leaves 5e-9. 2^n is multiplied
// as two factors, so that the result can be subnormal or infinite.
PI05_INLINE Floats exp_lanes(Floats x) {
  constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  x = select(x > 89.0f, splat(89.0f), x);
  x = select(x < -104.5f, splat(-104.5f), x);
  const Floats rounded = x * 0x1.715476p0f + kRound;
  const Floats n = rounded - kRound;
  const Words power = reinterpret_cast<Words>(rounded) - reinterpret_cast<Words>(splat(kRound));
  Floats r = x - n * 0x1.62e4p-1f;  // ln 2 in two parts, the first with few enough bits for n times it to be exact
  r -= n * 0x1.7f7d1cp-20f;
  Floats q = r * (1 / 5040.0f) + 1 / 720.0f;
  q = q * r + 1 / 120.0f;
  q = q * r + 1 / 24.0f;
  q = q * r + 1 / 6.0f;
  q = q * r + 0.5f;
  const Floats e = (q * r) * r + r + 1.0f;
  const Words half = ((power + 512u) >> 1) - 256u;  // power / 2, rounded down, without a signed shift
  const Floats low = reinterpret_cast<Floats>((half + 127u) << 23);
  const Floats high = reinterpret_cast<Floats>((power - half + 127u) << 23);
  return e * low * high;
}

// x / 2 · (1 + tanh u) = x / (1 + exp(−2u)), which has no cancellation.
PI05_INLINE Floats gelu_lanes(Floats x) {
  constexpr float kLinear = -1.5957691216057308f, kCubic = -0.071354816272600141f;  // −2 √(2/π) · {1, 0.044715}
  return x / (exp_lanes(x * (kLinear + kCubic * (x * x))) + 1.0f);
}

template <typename Function>
PI05_INLINE void map(const float* x, float* y, int64_t n, Function function) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(y + i, function(load(x + i)));
  if (i == n) return;
  float rest[LANES] = {};
  for (int64_t j = i; j < n; j++) rest[j - i] = x[j];
  store(rest, function(load(rest)));
  for (int64_t j = i; j < n; j++) y[j] = rest[j - i];
}

void exp_f32(const float* x, float* y, int64_t n) {
  map(x, y, n, [](Floats v) __attribute__((always_inline)) { return exp_lanes(v); });
}

void gelu_tanh(const float* x, float* y, int64_t n) {
  map(x, y, n, [](Floats v) __attribute__((always_inline)) { return gelu_lanes(v); });
}

void gelu_tanh_mul(const float* gate, const float* up, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(y + i, gelu_lanes(load(gate + i)) * load(up + i));
  if (i == n) return;
  float rest[LANES] = {};
  for (int64_t j = i; j < n; j++) rest[j - i] = gate[j];
  store(rest, gelu_lanes(load(rest)));
  for (int64_t j = i; j < n; j++) y[j] = rest[j - i] * up[j];
}

void softmax_row(float* x, int64_t n) {
  float row_max = x[0];
  int64_t i = 0;
  if (n >= LANES) {
    Floats lane_max = load(x);
    for (i = LANES; i + LANES <= n; i += LANES) {
      const Floats v = load(x + i);
      lane_max = select(v > lane_max, v, lane_max);
    }
    PI05_UNROLL
    for (int lane = 0; lane < LANES; lane++) row_max = lane_max[lane] > row_max ? lane_max[lane] : row_max;
  }
  for (; i < n; i++) row_max = x[i] > row_max ? x[i] : row_max;

  Floats sums = {};
  for (i = 0; i + LANES <= n; i += LANES) {
    const Floats e = exp_lanes(load(x + i) - row_max);
    store(x + i, e);
    sums += e;
  }
  if (i < n) {
    float rest[LANES];
    for (int64_t j = 0; j < LANES; j++) rest[j] = i + j < n ? x[i + j] - row_max : -200.0f;  // exp gives 0
    const Floats e = exp_lanes(load(rest));
    sums += e;
    store(rest, e);
    for (int64_t j = i; j < n; j++) x[j] = rest[j - i];
  }
  const float scale = 1 / sum_lanes<1>(&sums)[0];
  for (i = 0; i + LANES <= n; i += LANES) store(x + i, load(x + i) * scale);
  for (; i < n; i++) x[i] *= scale;
}

template <typename T>
void widen(const void* stored, float* y, int64_t n) {
  const auto* x = static_cast<const typename T::Stored*>(stored);
  for (int64_t i = 0; i + 2 * LANES <= n; i += 2 * LANES) {
    Floats first, second;
    load_pair<T>(x + i, first, second);
    if constexpr (sizeof(typename T::Stored) == 4) {
      store(y + i, first);
      store(y + i + LANES, second);
    } else {
      store(y + i, zip_low(first, second));
      store(y + i + LANES, zip_high(first, second));
    }
  }
  for (int64_t i = n / (2 * LANES) * (2 * LANES); i < n; i++) y[i] = load_one<T>(x + i);
}

}  // namespace
}  // namespace pi05
