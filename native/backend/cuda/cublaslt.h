// The cuBLASLt functions that Gemm calls, loaded at run time: neither a build nor a CPU-only machine needs the library.
// Types and values are those of cuBLASLt's C API, unchanged since version 10.1.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pi05::cublaslt {

using Handle = void*;
using Descriptor = void*;
using Layout = void*;
using Preference = void*;

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};

// cudaDataType, cublasComputeType_t, cublasOperation_t
constexpr int kF32 = 0, kF16 = 2, kBF16 = 14, kComputeF32 = 68, kTransposed = 1;
// cublasLtMatmulDescAttributes_t
constexpr int kTransposeA = 3, kEpilogue = 7, kBiasPointer = 8, kBiasType = 26;
// cublasLtEpilogue_t
constexpr uint32_t kPlain = 1, kBias = 4, kGelu = 32;
// cublasLtMatrixLayoutAttribute_t
constexpr int kBatchCount = 5, kBatchOffset = 6;
// cublasLtMatmulPreferenceAttributes_t; the alignments of A, B, C and D follow one another
constexpr int kWorkspaceBytes = 1, kReductionSchemes = 3, kAlignment = 5;
// cublasLtReductionScheme_t: partial sums in workspace, added in a fixed order
constexpr uint32_t kReduceInComputeType = 2;

struct Library {
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*create_descriptor)(Descriptor*, int compute, int scale);
  int (*destroy_descriptor)(Descriptor);
  int (*set_descriptor)(Descriptor, int attribute, const void* value, size_t bytes);
  int (*create_layout)(Layout*, int type, uint64_t rows, uint64_t cols, int64_t stride);
  int (*destroy_layout)(Layout);
  int (*set_layout)(Layout, int attribute, const void* value, size_t bytes);
  int (*create_preference)(Preference*);
  int (*destroy_preference)(Preference);
  int (*set_preference)(Preference, int attribute, const void* value, size_t bytes);
  int (*heuristics)(Handle, Descriptor, Layout a, Layout b, Layout c, Layout d, Preference, int wanted, Heuristic*,
                    int* found);
  int (*matmul)(Handle, Descriptor, const void* alpha, const void* a, Layout, const void* b, Layout, const void* beta,
                const void* c, Layout, void* d, Layout, const Algorithm*, void* workspace, size_t bytes, cudaStream_t);
};

// Loaded once. Searches $PI05_CUBLAS_ROOT (that directory, its lib and lib64), then the loader's path, then the library
// directory of the toolkit that this was built with. Null if not found.
const Library* library();

}  // namespace pi05::cublaslt
