#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/simd.h"
#include "backend/cpu/vecmath.h"
#include "check.h"

using pi05::DType;
using pi05::ThreadPool;

namespace {

constexpr float kUntouched = 12345.0f;

struct Case {
  int64_t m, k, n;
  DType type;
  bool transposed;  // b is (n, k)
  bool bias;
};

// Every matrix has extra columns that no GEMM may read (they are NaN) or write.
struct Matrices {
  int64_t lda, ldb, ldc;
  std::vector<float> a, b, bias, c;
  std::vector<uint16_t> stored;  // b in a 16-bit type; b has the same values
};

Matrices make(const Case& t) {
  const int64_t b_rows = t.transposed ? t.n : t.k, b_cols = t.transposed ? t.k : t.n;
  Matrices x{t.k + 3, b_cols + 5, t.n + 7, {}, {}, {}, {}, {}};
  std::mt19937 random(static_cast<uint32_t>(t.m * 7919 + t.k * 31 + t.n));
  std::normal_distribution<float> normal;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  x.a.assign(static_cast<size_t>(t.m * x.lda), nan);
  x.b.assign(static_cast<size_t>(b_rows * x.ldb), nan);
  x.c.assign(static_cast<size_t>(t.m * x.ldc), kUntouched);
  x.stored.assign(x.b.size(), 0x7fff);  // a NaN in both types
  for (int64_t i = 0; i < t.m; i++)
    for (int64_t p = 0; p < t.k; p++) x.a[static_cast<size_t>(i * x.lda + p)] = normal(random);
  for (int64_t i = 0; i < b_rows; i++)
    for (int64_t p = 0; p < b_cols; p++) {
      const auto at = static_cast<size_t>(i * x.ldb + p);
      // Valid in both types: sign, an exponent near 0, mantissa.
      const auto bits = static_cast<uint16_t>((random() & 0x807f) | (t.type == DType::BF16 ? 0x3f00 : 0x3800));
      x.stored[at] = bits;
      if (t.type == DType::F32)
        x.b[at] = normal(random);
      else
        pi05::widen(&bits, t.type, &x.b[at], 1);
    }
  if (t.bias)
    for (int64_t j = 0; j < t.n; j++) x.bias.push_back(normal(random));
  return x;
}

void multiply(const Case& t, Matrices& x, ThreadPool& pool) {
  const float* bias = t.bias ? x.bias.data() : nullptr;
  if (t.transposed) {
    const void* b = t.type == DType::F32 ? static_cast<const void*>(x.b.data()) : x.stored.data();
    pi05::gemm_nt(pool, x.a.data(), x.lda, t.m, t.k, b, t.type, x.ldb, t.n, bias, x.c.data(), x.ldc);
  } else {
    pi05::gemm_nn(pool, x.a.data(), x.lda, t.m, t.k, x.b.data(), x.ldb, t.n, bias, x.c.data(), x.ldc);
  }
}

// Largest |c − exact| / Σ |a b|; infinite for a NaN, or if an extra column was written.
double error(const Case& t, const Matrices& x) {
  double worst = 0;
  for (int64_t i = 0; i < t.m; i++) {
    for (int64_t j = 0; j < x.ldc; j++) {
      const float c = x.c[static_cast<size_t>(i * x.ldc + j)];
      if (j >= t.n) {
        if (c != kUntouched) return INFINITY;
        continue;
      }
      double exact = t.bias ? x.bias[static_cast<size_t>(j)] : 0, size = std::abs(exact) + 1e-30;
      for (int64_t p = 0; p < t.k; p++) {
        const int64_t at = t.transposed ? j * x.ldb + p : p * x.ldb + j;
        const double term = double{x.a[static_cast<size_t>(i * x.lda + p)]} * x.b[static_cast<size_t>(at)];
        exact += term;
        size += std::abs(term);
      }
      if (std::isnan(c)) return INFINITY;
      worst = std::max(worst, std::abs(c - exact) / size);
    }
  }
  return worst;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int64_t m : {1, 2, 5, 6, 15, 16, 17, 45})
    for (int64_t k : {1, 2, 15, 30, 33, 64, 255, 257, 600})
      for (int64_t n : {1, 3, 17, 32, 37, 100})
        for (DType type : {DType::F32, DType::BF16, DType::F16}) {
          const bool bias = (m + k + n) % 2 == 0;
          all.push_back({m, k, n, type, true, bias});
          if (type == DType::F32) all.push_back({m, k, n, type, false, bias});
        }
  return all;
}

template <typename Body>
void on_every_instruction_set(const Body& body) {
  for (const pi05::Simd* level : pi05::simd_supported()) {
    pi05::simd_use(*level);
    std::printf("       on %s\n", level->name);
    body();
  }
}

}  // namespace

TEST(gemms_agree_with_float64_on_every_shape_type_and_instruction_set) {
  ThreadPool pool(2, false);
  on_every_instruction_set([&] {
    double worst = 0;
    for (const Case& t : cases()) {
      Matrices x = make(t);
      multiply(t, x, pool);
      worst = std::max(worst, error(t, x));
    }
    CHECK_LE(worst, 5e-7);
  });
}

TEST(long_sums_of_one_sign_stay_accurate) {
  ThreadPool pool(2, false);
  on_every_instruction_set([&] {
    for (int64_t m : {3, 40, 70}) {
      const Case t{m, 16384, 33, DType::F32, true, false};
      Matrices x = make(t);
      for (float& v : x.a) v = std::abs(v);
      for (float& v : x.b) v = std::abs(v);
      multiply(t, x, pool);
      CHECK_LE(error(t, x), 2e-6);
    }
  });
}

TEST(results_are_the_same_bits_with_any_number_of_threads) {
  ThreadPool one(1, false), two(2, false), seven(7, false);
  on_every_instruction_set([&] {
    for (const Case& t : {Case{1, 1024, 4099, DType::BF16, true, true}, Case{15, 1000, 1111, DType::BF16, true, true},
                          Case{15, 700, 999, DType::F32, true, false}, Case{130, 777, 1234, DType::F16, true, true},
                          Case{130, 777, 1234, DType::F32, false, false}}) {
      Matrices x = make(t), y = make(t), z = make(t);
      multiply(t, x, one);
      multiply(t, y, two);
      multiply(t, z, seven);
      CHECK(std::memcmp(x.c.data(), y.c.data(), x.c.size() * 4) == 0);
      CHECK(std::memcmp(x.c.data(), z.c.data(), x.c.size() * 4) == 0);
    }
  });
}

TEST(with_k_of_0_the_result_is_the_bias) {
  ThreadPool pool(1, false);
  on_every_instruction_set([&] {
    for (int64_t m : {2, 20}) {
      const float bias[3] = {1, 2, 3};
      std::vector<float> c(static_cast<size_t>(m * 3), kUntouched);
      pi05::gemm_nt(pool, nullptr, 0, m, 0, nullptr, DType::BF16, 0, 3, bias, c.data(), 3);
      for (size_t i = 0; i < c.size(); i++) CHECK(c[i] == bias[i % 3]);
    }
  });
}

RUN_TESTS()
