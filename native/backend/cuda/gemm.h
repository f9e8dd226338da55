// Matrix products through cuBLASLt. The algorithm for each shape is chosen once, by cuBLASLt's heuristics, so equal
// inputs give equal bits in every run.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <map>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/memory.h"
#include "backend/ops.h"

namespace pi05 {

class Gemm {
 public:
  // Throws Error(PI05_BACKEND_UNAVAILABLE) without cuBLASLt.
  Gemm();
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  struct Epilogue {
    const void* bias = nullptr;  // (n) of out's type
    bool gelu = false;
    bool add = false;  // out += instead of out =
  };
  // out (m, n) = x (m, k) · weight (n, k)ᵀ, then the epilogue. x and weight have one type, out has that type or F32.
  // weight may have more columns than x if zeros follow each row of x up to x.stride.
  void run(const Matrix& x, const Tensor& weight, const Epilogue& epilogue, const Matrix& out, cudaStream_t stream);
  // partials (splits * m, n) F32, whose sum is x · weightᵀ: each over an equal number of columns, a multiple of 8.
  void run_split_k(const Matrix& x, const Tensor& weight, int64_t splits, const Matrix& partials, cudaStream_t stream);

 private:
  struct Plan {
    cublaslt::Descriptor descriptor = nullptr;
    cublaslt::Layout a = nullptr, b = nullptr, d = nullptr;
    cublaslt::Algorithm algorithm{};
    bool found = false;  // cuBLASLt has an algorithm for the shape
  };
  using Key = std::array<int64_t, 11>;

  Plan make_plan(const Key& key, bool bias) const;
  void destroy(Plan& plan) const;
  // False where cuBLASLt has no algorithm.
  bool matmul(const Matrix& x, const Tensor& weight, int64_t splits, const Epilogue& epilogue, const Matrix& out,
              cudaStream_t stream);

  const cublaslt::Library& api_;
  cublaslt::Handle handle_ = nullptr;
  DeviceMemory workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace pi05
