// GEMM in fp32, row-major, with a leading dimension (elements from row to row) per matrix. Weights keep the type of the
// checkpoint and are converted to fp32 in registers. For a given shape every element is summed in a fixed order, so
// results do not depend on the number of threads. c must not overlap an input.
#pragma once

#include <cstdint>

#include "backend/cpu/threads.h"
#include "backend/dtype.h"

namespace pi05 {

// c[m, n] = a[m, k] · b[n, k]ᵀ + bias[n]; bias may be null. b is a weight in the layout of checkpoints.
void gemm_nt(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const void* b, DType b_type,
             int64_t ldb, int64_t n, const float* bias, float* c, int64_t ldc);

// c[m, n] = a[m, k] · b[k, n] + bias[n]; bias may be null.
void gemm_nn(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const float* b, int64_t ldb,
             int64_t n, const float* bias, float* c, int64_t ldc);

}  // namespace pi05
