// The CUDA backend: 16-bit products with fp32 sums, fp32 residual streams, one CUDA graph an inference. One stream;
// what is called outside run() is enqueued there at once.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/gemm.h"
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
  // fp16 keeps three bits more than bf16 of what SigLIP has, whose values are small
  DType vision_type() const override { return type_ == DType::BF16 ? DType::F16 : type_; }
  void reserve() override;
  const Inputs& upload(const Shape& shape, const Inputs& host) override;
  void upload(const Matrix& to, const float* host) override;
  void run(const Shape& shape, const std::function<void()>& record) override;
  bool captures_graphs() const override { return true; }
  void prepare(const Shape& shape, const std::function<void()>& record) override;
  void download(const Matrix& from, float* host) override;

  void patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) override;
  void vision(const Matrix& patches, int64_t cameras, const Matrix& out) override;
  void embed(const int32_t* tokens, const Matrix& out) override;
  void prefix(const Matrix& x, const Cache& cache) override;
  void flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache, const Matrix& modulation,
            const Matrix& x, const Matrix& velocities) override;
  void flow_step(const Inputs& in, int64_t step, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                 const Matrix& modulation, const Matrix& x, const Matrix& velocity) override;

  void linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) override;
  void linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) override;
  void gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out) override;
  void linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream) override;
  void linear_gated_add(const Matrix& x, const Tensor& weight, const Matrix& gate, const int32_t* time_row,
                        const Matrix& stream) override;
  void layer_norm(const Matrix& x, const Affine& norm, const Matrix& out) override;
  void rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out) override;
  void adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row,
                         const Matrix& out) override;
  void rope(const Matrix& x, int64_t heads, int64_t first) override;
  void attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                 const Matrix& out) override;
  void silu(const Matrix& x) override;
  void copy(const Matrix& from, const Matrix& to) override;
  void start(const Inputs& in, const Matrix& x) override;
  void euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x) override;

  void measure_stages();
  std::array<float, kStages> stage_times();

 private:
  // A recorded inference. The latest is first in the list.
  struct Recording {
    Shape shape;
    bool free;  // no row was held
    cudaGraphExec_t graph;
  };
  struct Axis {
    DeviceMemory memory;
    kernels::PillowAxis pillow;
    kernels::LinearAxis linear;
  };

  // Of this shape and the inputs uploaded last; the first in the list from then on.
  cudaGraphExec_t recorded(const Shape& shape, const std::function<void()>& record);
  Matrix scratch(int64_t rows, int64_t cols, DType type);  // valid until the next call
  // x · weightᵀ, to be added to `stream` by the norm that reads it next, or added already. Lies in scratch.
  kernels::SplitKPartials linear_split_k(const Matrix& x, const Tensor& weight, const Matrix& stream);
  // The same of a layer of SigLIP with its bias; and out = x · weightᵀ + bias, after a GELU where `gelu`.
  kernels::SplitKPartials vision_parts(const Matrix& x, const Affine& layer, const Matrix& stream);
  void vision_linear(const Matrix& x, const Tensor& weight, const Tensor& bias, bool gelu, const Matrix& out);
  // Adds `before` to x first; returns what is left to add to it.
  kernels::SplitKPartials layer_of_prefix(int64_t layer, const Matrix& x, const Cache& cache,
                                          const kernels::SplitKPartials& before);
  // What a layer's out or down product leaves to the norm that reads the stream next: gate[time_row[r]] times the
  // parts.
  struct PendingResidual {
    kernels::SplitKPartials parts;
    const float* gate = nullptr;
  };
  PendingResidual gated_split_k(const Matrix& x, const Tensor& weight, const Matrix& gate);
  PendingResidual layer_of_expert(int64_t layer, const int32_t* time_row, int64_t prefix_tokens, const Cache& cache,
                                  const Matrix& modulation, const Matrix& h, const PendingResidual& before);
  void adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                         const PendingResidual& before);
  void mark(int event);  // the end of a stage, where they are measured

  // inputs.cc
  void lay_out_inputs();
  void fit_image(size_t index, const pi05_image& image);
  const Axis& axis(int64_t in, int64_t out);
  void forget_recordings();

  DType type_;
  Stream stream_;
  Gemm gemm_;
  std::vector<DeviceMemory> memory_;
  std::shared_ptr<const CudaWeights> loaded_;
  DeviceMemory scratch_, partial_;
  DeviceMemory exchange_;  // of the persistent kernel, where it fits
  DeviceMemory cos_sin_;   // (max_prefix + horizon, head_dim / 2) cosine and sine
  Matrix qkv_;             // (largest of all rows, largest of all columns)
  Matrix qkv(int64_t rows, int64_t cols, DType type) const;

  // Inputs: small ones packed in one block, images each in a buffer of its own, host and device side by side.
  struct Image {
    PinnedMemory host;
    DeviceMemory device, narrow;
    int64_t used = 0;  // bytes
  };
  PinnedMemory host_inputs_;
  DeviceMemory device_inputs_;
  int64_t input_bytes_ = 0;
  Inputs inputs_;
  bool free_ = true;  // no action row is held: all share their step's time
  std::vector<Image> images_;
  std::map<std::pair<int64_t, int64_t>, Axis> axes_;  // by length in and out
  PinnedMemory result_;

  std::list<Recording> recordings_;
  bool recording_ = false;

  std::array<cudaEvent_t, kStages + 1> events_{};
  bool measuring_ = false;
};

}  // namespace pi05
