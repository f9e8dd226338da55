// The CUDA backend: 16-bit matrix products with fp32 sums, fp32 residual streams, one CUDA graph per inference on one
// stream. Operations called outside run() are enqueued on that stream immediately.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <memory>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/gemm.h"
#include "backend/cuda/graph_cache.h"
#include "backend/cuda/input_staging.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/weights.h"
#include "backend/ops.h"

namespace pi05 {

class CudaOps final : public Ops {
 public:
  CudaOps(const Dimensions& dimensions, CudaPrecision precision);
  ~CudaOps() override;

  void load(const Weights& host) override;
  Matrix allocate(int64_t rows, int64_t cols, DType dtype) override;
  DType activation_type() const override { return type_; }
  // SigLIP's values are small, and fp16 has three more bits than bf16 for them.
  DType vision_type() const override { return type_ == DType::BF16 ? DType::F16 : type_; }
  void reserve() override;
  const Inputs& upload(const Shape& shape, const Inputs& host) override;
  void upload(const Matrix& to, const float* host) override;
  void run(const Shape& shape, const std::function<void()>& enqueue) override;
  bool captures_graphs() const override { return true; }
  void prepare(const Shape& shape, const std::function<void()>& enqueue) override;
  void download(const Matrix& from, float* host) override;

  void conditioning(const Matrix& embedding, const Matrix& condition, const Matrix& modulation) override;
  void patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) override;
  void vision(const Matrix& patches, int64_t cameras, const Matrix& out) override;
  void embed(const int32_t* tokens, const Matrix& out) override;
  void prefix(const Matrix& x, const Cache& cache) override;
  void flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache, const Matrix& modulation,
            const Matrix& x, const Matrix& velocities) override;
  void copy(const Matrix& from, const Matrix& to) override;

  // ---- operations of the stages; ReferenceOps documents those of the same name ----

  // The output of an attention or MLP block of the expert that has not been added to the residual stream yet: the norm
  // that reads the stream next adds gate[time_row[r]] times the sum of the partial products.
  struct PendingResidual {
    kernels::SplitKPartials partials;
    const float* gate = nullptr;  // (times, width) with the row stride of the modulation table
  };

  void linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out);
  void linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out);
  // gate and up may be one matrix, either interleaved by kernels::kInterleave rows (then up.data == gate.data) or
  // stacked.
  void gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out);
  void linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream);
  // stream += x · weightᵀ. Either adds the product and returns no partials, or returns partial products in scratch
  // memory for the next norm to add.
  kernels::SplitKPartials linear_add_split_k(const Matrix& x, const Tensor& weight, const Matrix& stream);
  // gate · (x · weightᵀ), for the next adaptive norm to add; in scratch memory.
  PendingResidual gated_residual(const Matrix& x, const Tensor& weight, const Matrix& gate);

  // The norms add `partials` or `pending` to x first.
  void layer_norm(const Matrix& x, const Affine& norm, const Matrix& out, const kernels::SplitKPartials& partials = {});
  void rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out, const kernels::SplitKPartials& partials = {});
  void adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                         const PendingResidual& pending);
  void adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out) {
    adaptive_rms_norm(x, modulation, time_row, out, {});
  }
  // qkv (rows, (heads + 2 * kv_heads) * head_dim): RoPE on q in place; k with RoPE to `k`, v to `v`.
  void rope_split(const Matrix& qkv, int64_t heads, int64_t kv_heads, int64_t first, const Matrix& k, const Matrix& v);
  void attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape, const Matrix& out);
  void silu(const Matrix& x);
  void start(const Inputs& in, const Matrix& x);
  void euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x);

  // From now on inferences are captured with events at the ends of their stages.
  void measure_stages();
  std::array<float, kStages> stage_times();

 private:
  // Valid until the next call. Memory is reserved for the stages; a larger request outside a graph's capture
  // reallocates, which discards all graphs.
  Matrix scratch(int64_t rows, int64_t cols, DType type);
  Matrix qkv_buffer(int64_t rows, int64_t cols, DType type) const;
  void enqueue_inference(const std::function<void()>& enqueue);
  void mark(int stage);  // records the end of a stage, or with -1 the start, if stages are measured

  // layers.cc. A layer first adds the partial products that the previous layer left in scratch memory, `before`, and
  // returns those it leaves itself.
  void siglip_linear(const Matrix& x, const Tensor& weight, const Tensor& bias, bool gelu, const Matrix& out);
  kernels::SplitKPartials siglip_add_split_k(const Matrix& x, const Affine& layer, const Matrix& stream);
  kernels::SplitKPartials prefix_layer(int64_t layer, const Matrix& x, const Cache& cache,
                                       const kernels::SplitKPartials& before);
  // prefix_fp8.cc: the same with e4m3 products.
  kernels::SplitKPartials prefix_layer_fp8(int64_t layer, const Matrix& x, const Cache& cache,
                                           const kernels::SplitKPartials& before);
  kernels::Fp8Matrix allocate_fp8(int64_t rows, int64_t cols);
  void flow_step(const Inputs& in, int64_t step, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                 const Matrix& modulation, const Matrix& x, const Matrix& velocity);
  PendingResidual expert_layer(int64_t layer, const int32_t* time_row, int64_t prefix_tokens, const Cache& cache,
                               const Matrix& modulation, const Matrix& h, const PendingResidual& before);

  DType type_;
  bool fp8_;  // the prefix's products but o's have e4m3 operands
  Stream stream_;
  Gemm gemm_;
  std::vector<DeviceMemory> memory_;
  std::shared_ptr<const CudaWeights> loaded_;
  Weights weights_;  // device addresses, as loaded_->placed()
  DeviceMemory scratch_;
  DeviceMemory attention_workspace_;
  DeviceMemory expert_exchange_;  // of the persistent kernel, if it is supported
  DeviceMemory cos_sin_;          // (max_prefix + horizon, head_dim / 2) float2
  Matrix qkv_;                    // q, k and v of one layer: sized for the largest of all stages

  struct {
    Matrix x;          // (slots * patches, hidden) F32
    Matrix norm, att;  // (slots * patches, hidden)
    Matrix mid;        // (slots * patches, mlp)
  } vision_;
  struct {
    Matrix norm;  // (max_prefix, width)
    Matrix att;   // (max_prefix, heads * head_dim)
    Matrix mid;   // (max_prefix, mlp)
  } prefix_;
  struct {
    kernels::Fp8Matrix norm, mid;  // as in prefix_
  } prefix_fp8_;                   // empty without fp8_
  struct {
    Matrix h;     // (horizon, width) F32
    Matrix norm;  // (horizon, width)
    Matrix att;   // (horizon, heads * head_dim)
    Matrix mid;   // (horizon, mlp)
  } expert_;

  InputStaging staging_;
  PinnedMemory result_;

  std::array<cudaEvent_t, kStages + 1> events_{};
  bool measuring_ = false;
  GraphCache graphs_;  // last: destroyed before the memory that graphs use
};

}  // namespace pi05
