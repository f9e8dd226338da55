// Matrix products through cuBLASLt: one plan a shape, chosen once by its heuristics, so that equal inputs give equal
// bits in every run.
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
  Gemm();
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  struct Epilogue {
    const void* bias = nullptr;  // (n) of out's type
    bool gelu = false;
    bool add = false;  // to what out holds
  };
  // out (m, n) = x (m, k) · weight (n, k)ᵀ, then `epilogue`. x and weight have one type, out that type or F32.
  // A weight may have more columns than x where x's rows go on with zeros.
  void run(const Matrix& x, const Tensor& weight, const Epilogue& epilogue, const Matrix& out, cudaStream_t stream);
  // The same in `count` parts of equal numbers of weight's columns, whose sum the product is. parts (count * m, n) F32.
  void run_split_k(const Matrix& x, const Tensor& weight, int64_t count, const Matrix& parts, cudaStream_t stream);

 private:
  struct Plan {
    cublaslt::Descriptor descriptor = nullptr;
    cublaslt::Layout a = nullptr, b = nullptr, d = nullptr;
    cublaslt::Algorithm algorithm{};
    bool found = false;
  };
  using Key = std::array<int64_t, 11>;

  Plan make_plan(const Key& key, bool bias) const;
  void destroy(Plan& plan) const;
  bool matmul(const Matrix& x, const Tensor& weight, int64_t parts, const Epilogue& epilogue, const Matrix& out,
              cudaStream_t stream);

  const cublaslt::Library& api_;
  cublaslt::Handle handle_ = nullptr;
  DeviceMemory workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace pi05
