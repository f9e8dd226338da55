#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/vecmath.h"
#include "check.h"
#include "instruction_sets.h"

using pi05::DType;
using pi05::ThreadPool;

namespace {

constexpr float kUntouched = 12345.0f;

struct Problem {
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

Matrices make(const Problem& problem) {
  const int64_t b_rows = problem.transposed ? problem.n : problem.k,
                b_cols = problem.transposed ? problem.k : problem.n;
  Matrices x{problem.k + 3, b_cols + 5, problem.n + 7, {}, {}, {}, {}, {}};
  std::mt19937 random(static_cast<uint32_t>(problem.m * 7919 + problem.k * 31 + problem.n));
  std::normal_distribution<float> normal;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  x.a.assign(static_cast<size_t>(problem.m * x.lda), nan);
  x.b.assign(static_cast<size_t>(b_rows * x.ldb), nan);
  x.c.assign(static_cast<size_t>(problem.m * x.ldc), kUntouched);
  x.stored.assign(x.b.size(), 0x7fff);  // a NaN in both types
  for (int64_t i = 0; i < problem.m; i++)
    for (int64_t p = 0; p < problem.k; p++) x.a[static_cast<size_t>(i * x.lda + p)] = normal(random);
  for (int64_t i = 0; i < b_rows; i++)
    for (int64_t p = 0; p < b_cols; p++) {
      const auto index = static_cast<size_t>(i * x.ldb + p);
      // Valid in both types: sign, an exponent near 0, mantissa.
      const auto bits = static_cast<uint16_t>((random() & 0x807f) | (problem.type == DType::BF16 ? 0x3f00 : 0x3800));
      x.stored[index] = bits;
      if (problem.type == DType::F32)
        x.b[index] = normal(random);
      else
        pi05::widen(&bits, problem.type, &x.b[index], 1);
    }
  if (problem.bias)
    for (int64_t j = 0; j < problem.n; j++) x.bias.push_back(normal(random));
  return x;
}

void multiply(const Problem& problem, Matrices& x, ThreadPool& pool) {
  const float* bias = problem.bias ? x.bias.data() : nullptr;
  if (problem.transposed) {
    const void* b = problem.type == DType::F32 ? static_cast<const void*>(x.b.data()) : x.stored.data();
    pi05::gemm_nt(pool, x.a.data(), x.lda, problem.m, problem.k, b, problem.type, x.ldb, problem.n, bias, x.c.data(),
                  x.ldc);
  } else {
    pi05::gemm_nn(pool, x.a.data(), x.lda, problem.m, problem.k, x.b.data(), x.ldb, problem.n, bias, x.c.data(), x.ldc);
  }
}

// Largest |c − exact| / Σ |a b|; infinite for a NaN, or if an extra column was written.
double error(const Problem& problem, const Matrices& x) {
  double worst = 0;
  for (int64_t i = 0; i < problem.m; i++) {
    for (int64_t j = 0; j < x.ldc; j++) {
      const float c = x.c[static_cast<size_t>(i * x.ldc + j)];
      if (j >= problem.n) {
        if (c != kUntouched) return INFINITY;
        continue;
      }
      double exact = problem.bias ? x.bias[static_cast<size_t>(j)] : 0, size = std::abs(exact) + 1e-30;
      for (int64_t p = 0; p < problem.k; p++) {
        const int64_t index = problem.transposed ? j * x.ldb + p : p * x.ldb + j;
        const double term = double{x.a[static_cast<size_t>(i * x.lda + p)]} * x.b[static_cast<size_t>(index)];
        exact += term;
        size += std::abs(term);
      }
      if (std::isnan(c)) return INFINITY;
      worst = std::max(worst, std::abs(c - exact) / size);
    }
  }
  return worst;
}

std::vector<Problem> problems() {
  std::vector<Problem> all;
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

}  // namespace

TEST(gemms_agree_with_float64_on_every_shape_type_and_instruction_set) {
  ThreadPool pool(2, false);
  on_every_instruction_set([&] {
    double worst = 0;
    for (const Problem& problem : problems()) {
      Matrices x = make(problem);
      multiply(problem, x, pool);
      worst = std::max(worst, error(problem, x));
    }
    CHECK_LE(worst, 5e-7);
  });
}

TEST(long_sums_of_one_sign_stay_accurate) {
  ThreadPool pool(2, false);
  on_every_instruction_set([&] {
    for (int64_t m : {3, 40, 70}) {
      const Problem problem{m, 16384, 33, DType::F32, true, false};
      Matrices x = make(problem);
      for (float& v : x.a) v = std::abs(v);
      for (float& v : x.b) v = std::abs(v);
      multiply(problem, x, pool);
      CHECK_LE(error(problem, x), 2e-6);
    }
  });
}

TEST(results_are_the_same_bits_with_any_number_of_threads) {
  ThreadPool one(1, false), two(2, false), seven(7, false);
  on_every_instruction_set([&] {
    for (const Problem& problem :
         {Problem{1, 1024, 4099, DType::BF16, true, true}, Problem{15, 1000, 1111, DType::BF16, true, true},
          Problem{15, 700, 999, DType::F32, true, false}, Problem{130, 777, 1234, DType::F16, true, true},
          Problem{130, 777, 1234, DType::F32, false, false}}) {
      Matrices x = make(problem), y = make(problem), z = make(problem);
      multiply(problem, x, one);
      multiply(problem, y, two);
      multiply(problem, z, seven);
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
