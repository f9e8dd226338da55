// Matrix products in fp32, row-major, with a leading dimension (elements from row to row) for each matrix. Weights stay
// in the type they are stored in and are widened on the way into registers. For a given shape every element is summed
// in one fixed order, so results do not depend on the number of threads. c may not overlap an input.
#pragma once

#include <cstdint>

#include "backend/cpu/threads.h"
#include "backend/dtype.h"

namespace pi05 {

// c[m, n] = a[m, k] · b[n, k]ᵀ + bias[n]; bias may be null. b is a weight as checkpoints store it.
void gemm_nt(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const void* b, DType bt, int64_t ldb,
             int64_t n, const float* bias, float* c, int64_t ldc);

// c[m, n] = a[m, k] · b[k, n] + bias[n]; bias may be null.
void gemm_nn(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const float* b, int64_t ldb,
             int64_t n, const float* bias, float* c, int64_t ldc);

}  // namespace pi05
