// Matrices quantised on the GPU, next to two CPU twins: the original values and the quantised ones, both as fp32.
#pragma once

#include "backend/cuda/kernels/kernels.h"
#include "both_backends.h"

namespace kernels = pi05::kernels;

// sign, 4 exponent bits with bias 7, 3 mantissa bits; all ones but the sign are NaN.
inline float e4m3(uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const float magnitude = (bits & 127) == 127 ? NAN
                          : exponent == 0     ? std::ldexp(static_cast<float>(mantissa), -9)
                                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits & 128 ? -magnitude : magnitude;
}

struct Fp8Download {
  std::vector<float> values, scale;  // values: without the scale
};

inline Fp8Download download(const kernels::Fp8Matrix& matrix) {
  const Matrix& m = matrix.values;
  std::vector<uint8_t> bytes(static_cast<size_t>(m.rows * m.cols));
  Fp8Download result;
  result.scale.resize(static_cast<size_t>(m.rows));
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  CHECK(cudaMemcpy2D(bytes.data(), static_cast<size_t>(m.cols), m.data, static_cast<size_t>(m.stride),
                     static_cast<size_t>(m.cols), static_cast<size_t>(m.rows), cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(cudaMemcpy(result.scale.data(), matrix.scale, result.scale.size() * sizeof(float), cudaMemcpyDeviceToHost) ==
        cudaSuccess);
  for (const uint8_t byte : bytes) result.values.push_back(e4m3(byte));
  return result;
}

inline kernels::Fp8Matrix allocate_fp8(Harness& harness, int64_t rows, int64_t cols) {
  return {harness.gpu->allocate(rows, cols, DType::E4M3),
          static_cast<float*>(harness.gpu->allocate(1, rows, DType::F32).data)};
}

inline kernels::Fp8Tensor tensor(const kernels::Fp8Matrix& m) {
  return {{m.values.data, m.values.dtype, m.values.rows, m.values.stride}, m.scale};
}

struct Fp8Operand {
  Fp8Operand(Harness& harness, const Both& from)
      : exact(from.cpu),
        quantized(harness.cpu->allocate(from.cpu.rows, from.cpu.cols, DType::F32)),
        gpu(allocate_fp8(harness, from.cpu.rows, from.cpu.cols)) {
    CHECK(kernels::quantize_rows(from.gpu, gpu, {}, nullptr) == cudaSuccess);
    Fp8Download values = download(gpu);
    for (size_t i = 0; i < values.values.size(); i++)
      values.values[i] *= values.scale[i / static_cast<size_t>(quantized.cols)];
    harness.cpu->upload(quantized, values.values.data());
  }
  Matrix exact, quantized;  // on the CPU
  kernels::Fp8Matrix gpu;
};

// Even and odd groups of kInterleave rows as two matrices on the CPU.
inline std::pair<Matrix, Matrix> split_interleaved(Harness& harness, const Matrix& both) {
  const int64_t n = both.rows / 2, k = both.cols;
  std::vector<float> values(static_cast<size_t>(2 * n * k)), parts[2];
  harness.cpu->download(both, values.data());
  for (int64_t row = 0; row < 2 * n; row++) {
    std::vector<float>& part = parts[row / kernels::kInterleave % 2];
    part.insert(part.end(), values.begin() + row * k, values.begin() + (row + 1) * k);
  }
  const Matrix gate = harness.cpu->allocate(n, k, DType::F32), up = harness.cpu->allocate(n, k, DType::F32);
  harness.cpu->upload(gate, parts[0].data()), harness.cpu->upload(up, parts[1].data());
  return {gate, up};
}
