// Operations of the CPU and the CUDA backend on equal inputs: bf16 or fp16 values, which the CPU reads as fp32.
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_ops.h"
#include "backend/cuda/cuda_ops.h"
#include "backend/cuda/launch_log.h"
#include "checkpoint/make_checkpoint.h"
#include "fixtures.h"
#include "gpu.h"

using pi05::CudaPrecision;
using pi05::DType;
using pi05::Matrix;
using pi05::Tensor;

// Tolerances of the error relative to the largest value. Rounding to bf16 changes a value by up to 2^-9 of it, to fp16
// by up to 2^-12.
constexpr double kBf16 = 4e-3, kF16 = 5e-4, kF32 = 2e-6;

inline float rounded(float value, DType to) {
  const int dropped = to == DType::BF16 ? 16 : 13;  // bits
  uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  bits = (bits + (1u << (dropped - 1)) - 1 + (bits >> dropped & 1)) >> dropped << dropped;
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
class Harness {
 public:
  explicit Harness(DType activation_type, pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY))
      : type(activation_type),
        cpu(std::make_unique<pi05::CpuOps>(dims, 2, false)),
        gpu(std::make_unique<pi05::CudaOps>(dims, type == DType::F32 ? CudaPrecision::F32 : CudaPrecision::BF16)) {
    gpu->reserve();
  }

  double tolerance(DType of) const {
    return of == DType::BF16 ? kBf16 : of == DType::F16 ? kF16 : type == DType::F32 ? kF32 : 2e-5;
  }

  // Uniform random values between -1.7 * size and 1.7 * size.
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
  Both f32(int64_t rows, int64_t cols, float size = 1) { return make(rows, cols, DType::F32, size); }

  void compare(const std::string& what, const Both& both, double tolerance) {
    std::vector<float> expected(static_cast<size_t>(both.cpu.rows * both.cpu.cols)), actual(expected.size());
    cpu->download(both.cpu, expected.data());
    gpu->download(both.gpu, actual.data());
    const double error = fixtures::relative_error(actual, expected);
    std::printf("  %-5s %-46s %.1e (at most %.0e)  [%s]\n", name_of(type), what.c_str(), error, tolerance, ran.c_str());
    CHECK(error <= tolerance);
  }
  void compare(const std::string& what, const Both& both) { compare(what, both, tolerance(both.gpu.dtype)); }

  // Calls `launch` and stores in `ran` the names of the kernels that ran.
  template <typename Launch>
  void on_gpu(Launch launch) {
    pi05::LaunchLog log;
    launch();
    ran = log.names();
  }

  const DType type;
  std::string ran;  // the kernels that LaunchLog counted in the last on_gpu()
  std::unique_ptr<pi05::CpuOps> cpu;
  std::unique_ptr<pi05::CudaOps> gpu;

 private:
  uint64_t state_ = 1;
};

inline Tensor tensor(const Matrix& m) { return {m.data, m.dtype, m.rows, m.stride}; }

inline std::string sizes(int64_t m, int64_t k, int64_t n) {
  return " (" + std::to_string(m) + ", " + std::to_string(k) + ") x " + std::to_string(n);
}

inline const DType kTypes[] = {DType::BF16, DType::F16, DType::F32};

// Calls `call(ops, operand)` for each backend; operand() picks that backend's matrix of a Both.
template <typename Call>
void on_both(Harness& harness, Call call) {
  call(*harness.cpu, [](const Both& both) { return both.cpu; });
  harness.on_gpu([&] { call(*harness.gpu, [](const Both& both) { return both.gpu; }); });
}
