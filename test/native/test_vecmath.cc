#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/vecmath.h"
#include "check.h"
#include "instruction_sets.h"

using pi05::DType;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> grid(float from, float to, int n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (int i = 0; i < n; i++)
    x[static_cast<size_t>(i)] = from + (to - from) * (static_cast<float>(i) + 0.37f) / static_cast<float>(n);
  return x;
}

// Error in units in the last place of `exact` as a float; all subnormals have the same unit.
double ulps(float value, double exact) {
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::abs(value - exact) / std::ldexp(1.0, exponent - 23);
}

double exact_gelu(float value) {
  const double x = value, u = 0.79788456080286536 * (x + 0.044715 * x * x * x);
  return x / (1 + std::exp(-2 * u));
}

}  // namespace

TEST(exp_is_within_two_ulp_down_to_the_subnormals) {
  on_every_instruction_set([] {
    const std::vector<float> x = grid(-103.0f, 88.7f, 1000003);
    std::vector<float> y(x.size());
    pi05::exp_f32(x.data(), y.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++) worst = std::max(worst, ulps(y[i], std::exp(double{x[i]})));
    CHECK_LE(worst, 2);
  });
}

TEST(exp_is_right_at_the_ends_of_its_range) {
  on_every_instruction_set([] {
    const float x[] = {0.0f, -0.0f, -105.0f, -1e30f, -kInfinity, 88.8f, 1e30f, kInfinity, NAN};
    float y[9];
    pi05::exp_f32(x, y, 9);
    CHECK(y[0] == 1 && y[1] == 1);
    for (int i = 2; i < 5; i++) CHECK(y[i] == 0);
    for (int i = 5; i < 8; i++) CHECK(y[i] == kInfinity);
    CHECK(std::isnan(y[8]));
  });
}

TEST(gelu_is_within_four_ulp_and_in_the_tail_within_5e_8_of_its_argument) {
  on_every_instruction_set([] {
    const std::vector<float> x = grid(-15.0f, 15.0f, 1000003);
    std::vector<float> y(x.size());
    pi05::gelu_tanh(x.data(), y.data(), static_cast<int64_t>(x.size()));
    double near = 0, tail = 0;
    for (size_t i = 0; i < x.size(); i++) {
      const double exact = exact_gelu(x[i]);
      if (x[i] > -1)
        near = std::max(near, ulps(y[i], exact));
      else
        tail = std::max(tail, std::abs(y[i] - exact) / std::abs(double{x[i]}));
    }
    CHECK_LE(near, 4);
    CHECK_LE(tail, 5e-8);
  });
}

TEST(gelu_is_right_for_large_arguments) {
  on_every_instruction_set([] {
    const float x[] = {0.0f, 1e20f, kInfinity, -1e20f, 40.0f, -40.0f};
    float y[6];
    pi05::gelu_tanh(x, y, 6);
    CHECK(y[0] == 0 && y[1] == 1e20f && y[2] == kInfinity && y[3] == 0 && y[4] == 40 && y[5] == 0);
  });
}

TEST(gated_gelu_is_gelu_times_up_also_in_place) {
  on_every_instruction_set([] {
    for (int n : {1, 7, 16, 37}) {
      const std::vector<float> gate = grid(-3, 3, n), up = grid(2, -5, n);
      std::vector<float> gelu(gate), y(gate);
      pi05::gelu_tanh(gate.data(), gelu.data(), n);
      pi05::gelu_tanh_mul(y.data(), up.data(), y.data(), n);
      for (size_t i = 0; i < y.size(); i++) CHECK(y[i] == gelu[i] * up[i]);
    }
  });
}

TEST(softmax_agrees_with_float64_and_drops_masked_elements) {
  on_every_instruction_set([] {
    double worst = 0;
    for (int n : {1, 2, 7, 8, 15, 16, 17, 33, 572, 1000}) {
      std::vector<float> x = grid(-20, 9, n);
      std::swap(x.front(), x.back());
      if (n > 20) x[3] = x[19] = -kInfinity;
      double sum = 0;
      for (const float v : x) sum += std::exp(double{v} - 9);
      std::vector<double> exact;
      for (const float v : x) exact.push_back(std::exp(double{v} - 9) / sum);
      pi05::softmax_row(x.data(), n);
      for (size_t i = 0; i < x.size(); i++) {
        if (exact[i] == 0)
          CHECK(x[i] == 0);
        else
          worst = std::max(worst, std::abs(x[i] / exact[i] - 1));
      }
    }
    CHECK_LE(worst, 2e-6);  // a difference of 29 is itself rounded to 1e-6
  });
}

TEST(widening_is_exact_for_every_value) {
  on_every_instruction_set([] {
    std::vector<uint16_t> bits(65536 + 5);
    for (size_t i = 0; i < bits.size(); i++) bits[i] = static_cast<uint16_t>(i);
    std::vector<float> y(bits.size());
    const auto n = static_cast<int64_t>(bits.size());
    pi05::widen(bits.data(), DType::BF16, y.data(), n);
    int wrong = 0;
    for (size_t i = 0; i < bits.size(); i++) {
      const uint32_t word = uint32_t{bits[i]} << 16;
      wrong += std::memcmp(&word, &y[i], 4) != 0;
    }
    CHECK(wrong == 0);
    pi05::widen(bits.data(), DType::F16, y.data(), n);
    for (size_t i = 0; i < bits.size(); i++) {
      const int exponent = bits[i] >> 10 & 31, mantissa = bits[i] & 1023;
      double exact = exponent == 31 ? (mantissa ? NAN : INFINITY)
                     : exponent     ? std::ldexp(1024 + mantissa, exponent - 25)
                                    : std::ldexp(mantissa, -24);
      if (bits[i] & 0x8000) exact = -exact;
      wrong += std::isnan(exact) ? !std::isnan(y[i]) : y[i] != exact || std::signbit(y[i]) != std::signbit(exact);
    }
    CHECK(wrong == 0);
  });
}

RUN_TESTS()
