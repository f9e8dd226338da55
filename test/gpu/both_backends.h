// The CPU's and the GPU's operations side by side, with equal inputs: bf16 or fp16 values that the CPU reads as fp32.
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_ops.h"
#include "checkpoint/make_checkpoint.h"
#include "fixtures.h"
#include "gpu.h"

using pi05::CudaPrecision;
using pi05::DType;
using pi05::Matrix;
using pi05::Tensor;

// Rounding of a bf16 result is 2^-9 of its value, of an fp16 result 2^-12; what follows compares with the largest
// value.
constexpr double kBf16 = 4e-3, kF16 = 5e-4, kF32 = 2e-6;

inline float rounded(float value, DType to) {
  const int lost = to == DType::BF16 ? 16 : 13;  // bits
  uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  bits = (bits + (1u << (lost - 1)) - 1 + (bits >> lost & 1)) >> lost << lost;
  std::memcpy(&value, &bits, 4);
  return value;
}

struct Both {
  Matrix cpu, gpu;

  Both cols_from(int64_t first, int64_t count) const {
    return {cpu.cols_from(first, count), gpu.cols_from(first, count)};
  }
};

// Both backends, with activations of one type.
class Bench {
 public:
  explicit Bench(DType activation_type, pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY))
      : type(activation_type),
        cpu(std::make_unique<pi05::CpuOps>(dims, 2, false)),
        gpu(pi05::make_cuda_ops(dims, type == DType::F32 ? CudaPrecision::F32 : CudaPrecision::BF16)) {
    gpu->reserve();
  }

  double tolerance(DType of) const {
    return of == DType::BF16 ? kBf16 : of == DType::F16 ? kF16 : type == DType::F32 ? kF32 : 2e-5;
  }

  // Random values around 0, of about `size`.
  Both make(int64_t rows, int64_t cols, DType of, float size = 1) {
    std::vector<float> values(static_cast<size_t>(rows * cols));
    for (float& value : values) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      value = (static_cast<float>(state_ >> 40) / static_cast<float>(1 << 23) - 1.0f) * 1.7f * size;
      if (of != DType::F32) value = rounded(value, of);
    }
    const Both both{cpu->allocate(rows, cols, DType::F32), gpu->allocate(rows, cols, of)};
    cpu->upload(both.cpu, values.data());
    gpu->upload(both.gpu, values.data());
    return both;
  }
  Both activations(int64_t rows, int64_t cols, float size = 1) { return make(rows, cols, type, size); }
  Both exact(int64_t rows, int64_t cols, float size = 1) { return make(rows, cols, DType::F32, size); }

  void compare(const std::string& what, const Both& both, double tolerance) {
    std::vector<float> expected(static_cast<size_t>(both.cpu.rows * both.cpu.cols)), actual(expected.size());
    cpu->download(both.cpu, expected.data());
    gpu->download(both.gpu, actual.data());
    const double error = fixtures::relative_error(actual, expected);
    std::printf("  %-5s %-46s %.1e (at most %.0e)\n", name_of(type), what.c_str(), error, tolerance);
    CHECK(error <= tolerance);
  }
  void compare(const std::string& what, const Both& both) { compare(what, both, tolerance(both.gpu.dtype)); }

  const DType type;
  std::unique_ptr<pi05::CpuOps> cpu;
  std::unique_ptr<pi05::Ops> gpu;

 private:
  uint64_t state_ = 1;
};

inline Tensor tensor(const Matrix& m) { return {m.data, m.dtype, m.rows, m.stride}; }

inline std::string sizes(int64_t m, int64_t k, int64_t n) {
  return " (" + std::to_string(m) + ", " + std::to_string(k) + ") x " + std::to_string(n);
}

inline const DType kTypes[] = {DType::BF16, DType::F16, DType::F32};

// The two calls with the operands of one backend each.
template <typename Call>
void on_both(Bench& bench, Call call) {
  call(static_cast<pi05::Ops&>(*bench.cpu), [](const Both& both) { return both.cpu; });
  call(*bench.gpu, [](const Both& both) { return both.gpu; });
}
