#include "backend/cuda/gemm.h"

#include <algorithm>
#include <string>

#include "backend/cuda/check.h"
#include "backend/cuda/kernels/kernels.h"

namespace pi05 {
namespace {

constexpr int64_t kWorkspace = 64 << 20;  // what cuBLAS takes on Hopper is 32 MiB; split-K may want more

int type_of(DType type) {
  return type == DType::F32 ? cublaslt::kF32 : type == DType::F16 ? cublaslt::kF16 : cublaslt::kBF16;
}

int64_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  return std::min<int64_t>(256, static_cast<int64_t>(address & (~address + 1)));
}

void require(int status, const char* what) {
  if (status != 0)
    throw Error(PI05_ENGINE_FAILED,
                std::string("Expected cuBLASLt to do ") + what + ", received status " + std::to_string(status));
}

const cublaslt::Library& loaded() {
  const cublaslt::Library* library = cublaslt::library();
  if (!library) throw Error(PI05_BACKEND_UNAVAILABLE, "Expected the library cuBLASLt, received none");
  return *library;
}

enum { kM, kN, kK, kLdX, kLdOut, kType, kOutType, kEpilogue, kAdd, kAlign, kParts };

}  // namespace

Gemm::Gemm() : api_(loaded()), workspace_(kWorkspace) { require(api_.create(&handle_), "its start"); }

Gemm::~Gemm() {
  for (auto& [key, plan] : plans_) destroy(plan);
  if (handle_) api_.destroy(handle_);
}

void Gemm::destroy(Plan& plan) const {
  if (plan.descriptor) api_.destroy_descriptor(plan.descriptor);
  for (cublaslt::Layout layout : {plan.a, plan.b, plan.d})
    if (layout) api_.destroy_layout(layout);
}

// In cuBLASLt's column-major eyes: outᵀ (n, m) = weightᵀ's transpose · xᵀ.
Gemm::Plan Gemm::make_plan(const Key& key, bool bias) const {
  Plan plan;
  const auto type = static_cast<int>(key[kType]), out_type = static_cast<int>(key[kOutType]);
  require(api_.create_descriptor(&plan.descriptor, cublaslt::kComputeF32, cublaslt::kF32), "a descriptor");
  const int transposed = cublaslt::kTransposed;
  require(api_.set_descriptor(plan.descriptor, cublaslt::kTransposeA, &transposed, sizeof transposed), "a descriptor");
  const auto epilogue = static_cast<uint32_t>(key[kEpilogue]);
  require(api_.set_descriptor(plan.descriptor, cublaslt::kEpilogue, &epilogue, sizeof epilogue), "an epilogue");
  if (bias)
    require(api_.set_descriptor(plan.descriptor, cublaslt::kBiasType, &out_type, sizeof out_type), "a bias type");
  const auto size = [&](int which) { return static_cast<uint64_t>(key[static_cast<size_t>(which)]); };
  const auto layout = [&](cublaslt::Layout& made, int of, uint64_t rows, uint64_t cols, int64_t stride, int64_t next) {
    require(api_.create_layout(&made, of, rows, cols, stride), "a layout");
    const auto parts = static_cast<int32_t>(key[kParts]);
    if (parts == 1) return;
    require(api_.set_layout(made, cublaslt::kBatchCount, &parts, sizeof parts), "a layout in parts");
    require(api_.set_layout(made, cublaslt::kBatchOffset, &next, sizeof next), "a layout in parts");
  };
  const int64_t part = key[kK] / key[kParts];
  layout(plan.a, type, static_cast<uint64_t>(part), size(kN), key[kK], part);
  layout(plan.b, type, static_cast<uint64_t>(part), size(kM), key[kLdX], part);
  layout(plan.d, out_type, size(kN), size(kM), key[kLdOut], key[kM] * key[kLdOut]);

  cublaslt::Preference preference = nullptr;
  require(api_.create_preference(&preference), "a preference");
  const auto workspace = static_cast<uint64_t>(kWorkspace);
  const uint32_t schemes = cublaslt::kComputeTypeSums;
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

bool Gemm::matmul(const Matrix& x, const Tensor& weight, int64_t parts, const Epilogue& epilogue, const Matrix& out,
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
                parts};
  auto at = plans_.find(key);
  if (at == plans_.end()) at = plans_.emplace(key, make_plan(key, epilogue.bias)).first;
  const Plan& plan = at->second;
  if (!plan.found) return false;
  if (epilogue.bias)
    require(api_.set_descriptor(plan.descriptor, cublaslt::kBiasPointer, &epilogue.bias, sizeof epilogue.bias),
            "a bias");
  const float alpha = 1, beta = epilogue.add ? 1 : 0;
  require(api_.matmul(handle_, plan.descriptor, &alpha, weight.data, plan.a, x.data, plan.b, &beta, out.data, plan.d,
                      out.data, plan.d, &plan.algorithm, workspace_.as<void>(), kWorkspace, stream),
          "a product");
  return true;
}

void Gemm::run(const Matrix& x, const Tensor& weight, const Epilogue& epilogue, const Matrix& out,
               cudaStream_t stream) {
  if (x.dtype != weight.dtype || (out.dtype != x.dtype && out.dtype != DType::F32) || out.rows != x.rows ||
      out.cols != weight.rows || (weight.cols != x.cols && weight.cols > x.stride) || weight.cols < x.cols)
    throw Error(PI05_ENGINE_FAILED, "Expected a product of fitting sizes and types, received (" +
                                        std::to_string(x.rows) + ", " + std::to_string(x.cols) + ") by (" +
                                        std::to_string(weight.rows) + ", " + std::to_string(weight.cols) + ")");
  // The library's GELU is an approximation of its own: fp32 takes ours.
  const bool fused = !(epilogue.gelu && x.dtype == DType::F32);
  if (fused && matmul(x, weight, 1, epilogue, out, stream)) return;
  Epilogue plain;
  plain.add = epilogue.add;
  if (!matmul(x, weight, 1, plain, out, stream))
    throw Error(PI05_ENGINE_FAILED, "Expected cuBLASLt to know a product of (" + std::to_string(x.rows) + ", " +
                                        std::to_string(weight.cols) + ") by (" + std::to_string(weight.rows) + ", " +
                                        std::to_string(weight.cols) + "), received none");
  if (epilogue.bias || epilogue.gelu)
    check(kernels::apply_epilogue(out, epilogue.bias, epilogue.gelu, stream), "a bias and GELU");
}

void Gemm::run_split_k(const Matrix& x, const Tensor& weight, int64_t count, const Matrix& parts, cudaStream_t stream) {
  if (x.dtype != weight.dtype || parts.dtype != DType::F32 || parts.rows != count * x.rows ||
      parts.cols != weight.rows || weight.cols > x.stride || weight.cols < x.cols || weight.cols % (8 * count) != 0 ||
      !matmul(x, weight, count, {}, parts, stream))
    throw Error(PI05_ENGINE_FAILED, "Expected a product that parts in " + std::to_string(count) + ", received (" +
                                        std::to_string(x.rows) + ", " + std::to_string(x.cols) + ") by (" +
                                        std::to_string(weight.rows) + ", " + std::to_string(weight.cols) + ")");
}

}  // namespace pi05
