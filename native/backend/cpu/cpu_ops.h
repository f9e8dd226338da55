// The CPU backend, the reference for the others. fp32 arithmetic; weights keep the type of the checkpoint. Results do
// not depend on the number of threads: loops are split by output element and every sum has a fixed order.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/threads.h"
#include "backend/reference_ops.h"

namespace pi05 {

// The first element of a row. Matrices of the CPU backend are F32.
inline float* row(const Matrix& m, int64_t r) { return static_cast<float*>(m.data) + r * m.stride; }

class CpuOps final : public ReferenceOps {
 public:
  CpuOps(const Dimensions& dimensions, int threads, bool low_priority);

  void load(const Weights& host) override;
  Matrix allocate(int64_t rows, int64_t cols, DType dtype) override;
  DType activation_type() const override { return DType::F32; }
  const Inputs& upload(const Shape& shape, const Inputs& host) override;
  void upload(const Matrix& to, const float* host) override;
  void run(const Shape& shape, const std::function<void()>& enqueue) override;
  void download(const Matrix& from, float* host) override;

  void patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) override;
  void embed(const int32_t* tokens, const Matrix& out) override;

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

 private:
  Matrix scratch(int64_t rows, int64_t cols);  // uninitialised, valid until the next call
  // Calls body(row) for every row, in parallel.
  void for_each_row(int64_t rows, const std::function<void(int64_t row)>& body);

  ThreadPool pool_;
  Inputs inputs_;
  std::vector<std::unique_ptr<float[]>> memory_;
  std::vector<std::vector<float>> fp32_copies_;  // of norms, biases and position embeddings
  std::vector<float> scratch_;
  std::vector<float> cosine_, sine_;  // RoPE: (max_prefix + horizon, head_dim / 2)
};

}  // namespace pi05
