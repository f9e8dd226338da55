#include "backend/cpu/gemm.h"

#include <cstring>

namespace pi05 {
namespace {

float widen(const void* p, DType type, int64_t i) {
  if (type == DType::F32) return static_cast<const float*>(p)[i];
  uint32_t bits = uint32_t{static_cast<const uint16_t*>(p)[i]} << 16;
  float value;
  if (type == DType::BF16) {
    std::memcpy(&value, &bits, 4);
    return value;
  }
  const uint32_t sign = bits & 0x80000000u;
  uint32_t magnitude = (bits & 0x7fff0000u) >> 3;
  std::memcpy(&value, &magnitude, 4);
  value *= 0x1p112f;
  std::memcpy(&bits, &value, 4);
  if (magnitude >= 0x0f800000u) bits |= 0x7f800000u;
  bits |= sign;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace

void gemm_nt(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const void* b, DType bt, int64_t ldb,
             int64_t n, const float* bias, float* c, int64_t ldc) {
  pool.run(n, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j++)
      for (int64_t i = 0; i < m; i++) {
        double sum = bias ? bias[j] : 0;
        for (int64_t p = 0; p < k; p++) sum += double(a[i * lda + p]) * widen(b, bt, j * ldb + p);
        c[i * ldc + j] = float(sum);
      }
  });
}

void gemm_nn(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const float* b, int64_t ldb, int64_t n,
             const float* bias, float* c, int64_t ldc) {
  pool.run(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = begin; j < end; j++) {
        double sum = bias ? bias[j] : 0;
        for (int64_t p = 0; p < k; p++) sum += double(a[i * lda + p]) * b[p * ldb + j];
        c[i * ldc + j] = float(sum);
      }
  });
}

}  // namespace pi05
