#include "backend/cuda/gemm.h"

#include <algorithm>
#include <string>

#include "backend/cuda/check.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/launch_log.h"

namespace pi05 {
namespace {

constexpr int64_t kWorkspaceBytes = 64 << 20;  // NVIDIA recommends 32 MiB on Hopper; split-K can use more

int type_of(DType type) {
  return type == DType::F32 ? cublaslt::kF32 : type == DType::F16 ? cublaslt::kF16 : cublaslt::kBF16;
}

int64_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  return std::min<int64_t>(256, static_cast<int64_t>(address & (~address + 1)));
}

void require(int status, const char* call) {  // status: cublasStatus_t
  if (status != 0)
    throw Error(PI05_ENGINE_FAILED, std::string(call) + " failed: cuBLAS status " + std::to_string(status));
}

std::string shape_of(const Matrix& x, const Tensor& weight) {
  return "(" + std::to_string(x.rows) + ", " + std::to_string(x.cols) + ") by (" + std::to_string(weight.rows) + ", " +
         std::to_string(weight.cols) + ")";
}

const cublaslt::Library& loaded_library() {
  const cublaslt::Library* library = cublaslt::library();
  if (!library) throw Error(PI05_BACKEND_UNAVAILABLE, "Expected cuBLASLt, received none");
  return *library;
}

enum { kM, kN, kK, kLdX, kLdOut, kType, kOutType, kEpilogue, kAdd, kAlign, kSplits };  // indices of a Key

}  // namespace

Gemm::Gemm() : api_(loaded_library()), workspace_(kWorkspaceBytes) { require(api_.create(&handle_), "cublasLtCreate"); }

Gemm::~Gemm() {
  for (auto& [key, plan] : plans_) destroy(plan);
  if (handle_) api_.destroy(handle_);
}

void Gemm::destroy(Plan& plan) const {
  if (plan.descriptor) api_.destroy_descriptor(plan.descriptor);
  for (cublaslt::Layout layout : {plan.a, plan.b, plan.d})
    if (layout) api_.destroy_layout(layout);
}

// cuBLASLt is column-major and sees the transposes: outᵀ (n, m) = weight · xᵀ, with weight stored as weightᵀ.
Gemm::Plan Gemm::make_plan(const Key& key, bool bias) const {
  Plan plan;
  const auto type = static_cast<int>(key[kType]), out_type = static_cast<int>(key[kOutType]);
  require(api_.create_descriptor(&plan.descriptor, cublaslt::kComputeF32, cublaslt::kF32), "cublasLtMatmulDescCreate");
  const int transposed = cublaslt::kTransposed;
  require(api_.set_descriptor(plan.descriptor, cublaslt::kTransposeA, &transposed, sizeof transposed),
          "cublasLtMatmulDescSetAttribute (transpose)");
  const auto epilogue = static_cast<uint32_t>(key[kEpilogue]);
  require(api_.set_descriptor(plan.descriptor, cublaslt::kEpilogue, &epilogue, sizeof epilogue),
          "cublasLtMatmulDescSetAttribute (epilogue)");
  if (bias)
    require(api_.set_descriptor(plan.descriptor, cublaslt::kBiasType, &out_type, sizeof out_type),
            "cublasLtMatmulDescSetAttribute (bias type)");
  const auto size = [&](int which) { return static_cast<uint64_t>(key[static_cast<size_t>(which)]); };
  const auto create_layout = [&](cublaslt::Layout& layout, int element, uint64_t rows, uint64_t cols, int64_t stride,
                                 int64_t batch_offset) {
    require(api_.create_layout(&layout, element, rows, cols, stride), "cublasLtMatrixLayoutCreate");
    const auto splits = static_cast<int32_t>(key[kSplits]);
    if (splits == 1) return;  // otherwise a batched product
    require(api_.set_layout(layout, cublaslt::kBatchCount, &splits, sizeof splits),
            "cublasLtMatrixLayoutSetAttribute (batch count)");
    require(api_.set_layout(layout, cublaslt::kBatchOffset, &batch_offset, sizeof batch_offset),
            "cublasLtMatrixLayoutSetAttribute (batch offset)");
  };
  const int64_t columns = key[kK] / key[kSplits];
  create_layout(plan.a, type, static_cast<uint64_t>(columns), size(kN), key[kK], columns);
  create_layout(plan.b, type, static_cast<uint64_t>(columns), size(kM), key[kLdX], columns);
  create_layout(plan.d, out_type, size(kN), size(kM), key[kLdOut], key[kM] * key[kLdOut]);

  cublaslt::Preference preference = nullptr;
  require(api_.create_preference(&preference), "cublasLtMatmulPreferenceCreate");
  const auto workspace = static_cast<uint64_t>(kWorkspaceBytes);
  const uint32_t schemes = cublaslt::kReduceInComputeType;
  int status = api_.set_preference(preference, cublaslt::kWorkspaceBytes, &workspace, sizeof workspace);
  if (status == 0) status = api_.set_preference(preference, cublaslt::kReductionSchemes, &schemes, sizeof schemes);
  for (int operand = 0; operand < 4 && status == 0; operand++) {
    const auto alignment = static_cast<uint32_t>(key[kAlign] >> (16 * std::min(operand, 2)) & 0xffff);
    status = api_.set_preference(preference, cublaslt::kAlignment + operand, &alignment, sizeof alignment);
  }
  cublaslt::Heuristic best{};
  int found = 0;
  if (status == 0)
    status = api_.heuristics(handle_, plan.descriptor, plan.a, plan.b, plan.d, plan.d, preference, 1, &best, &found);
  api_.destroy_preference(preference);
  plan.found = status == 0 && found > 0 && best.status == 0;
  plan.algorithm = best.algorithm;
  return plan;
}

bool Gemm::matmul(const Matrix& x, const Tensor& weight, int64_t splits, const Epilogue& epilogue, const Matrix& out,
                  cudaStream_t stream) {
  const uint32_t fused = (epilogue.bias ? cublaslt::kBias : 0) | (epilogue.gelu ? cublaslt::kGelu : 0);
  const Key key{x.rows,
                weight.rows,
                weight.cols,
                x.stride,
                out.stride,
                type_of(x.dtype),
                type_of(out.dtype),
                fused ? fused : cublaslt::kPlain,
                epilogue.add,
                alignment_of(weight.data) | alignment_of(x.data) << 16 | alignment_of(out.data) << 32,
                splits};
  auto found = plans_.find(key);
  if (found == plans_.end()) found = plans_.emplace(key, make_plan(key, epilogue.bias)).first;
  const Plan& plan = found->second;
  if (!plan.found) return false;
  if (epilogue.bias)
    require(api_.set_descriptor(plan.descriptor, cublaslt::kBiasPointer, &epilogue.bias, sizeof epilogue.bias),
            "cublasLtMatmulDescSetAttribute (bias)");
  const float alpha = 1, beta = epilogue.add ? 1 : 0;
  require(api_.matmul(handle_, plan.descriptor, &alpha, weight.data, plan.a, x.data, plan.b, &beta, out.data, plan.d,
                      out.data, plan.d, &plan.algorithm, workspace_.as<void>(), kWorkspaceBytes, stream),
          "cublasLtMatmul");
  LaunchLog::add("cublaslt");
  return true;
}

void Gemm::run(const Matrix& x, const Tensor& weight, const Epilogue& epilogue, const Matrix& out,
               cudaStream_t stream) {
  if (x.dtype != weight.dtype || (out.dtype != x.dtype && out.dtype != DType::F32) || out.rows != x.rows ||
      out.cols != weight.rows || (weight.cols != x.cols && weight.cols > x.stride) || weight.cols < x.cols)
    throw Error(PI05_ENGINE_FAILED, "Expected operands of matching sizes and types, received " + shape_of(x, weight));
  // cuBLASLt approximates GELU: too coarsely for fp32.
  const bool fused = !(epilogue.gelu && x.dtype == DType::F32);
  if (fused && matmul(x, weight, 1, epilogue, out, stream)) return;
  Epilogue plain;
  plain.add = epilogue.add;
  if (!matmul(x, weight, 1, plain, out, stream))
    throw Error(PI05_ENGINE_FAILED, "cublasLtMatmulAlgoGetHeuristic failed: no algorithm for " + shape_of(x, weight));
  if (epilogue.bias || epilogue.gelu)
    check(kernels::apply_epilogue(out, epilogue.bias, epilogue.gelu, stream), "kernel apply_epilogue");
}

void Gemm::run_split_k(const Matrix& x, const Tensor& weight, int64_t splits, const Matrix& partials,
                       cudaStream_t stream) {
  if (x.dtype != weight.dtype || partials.dtype != DType::F32 || partials.rows != splits * x.rows ||
      partials.cols != weight.rows || weight.cols > x.stride || weight.cols < x.cols ||
      weight.cols % (8 * splits) != 0 || !matmul(x, weight, splits, {}, partials, stream))
    throw Error(PI05_ENGINE_FAILED, "Expected a product that can be split in " + std::to_string(splits) +
                                        ", received " + shape_of(x, weight));
}

}  // namespace pi05
