// The stages of an inference as sequences of primitives: the reference for what every backend computes, and the base of
// the CPU backend.
#pragma once

#include "backend/ops.h"

namespace pi05 {

class ReferenceOps : public Ops {
 public:
  using Ops::Ops;

  void reserve() override;
  void conditioning(const Matrix& embedding, const Matrix& condition, const Matrix& modulation) override;
  void vision(const Matrix& patches, int64_t cameras, const Matrix& out) override;
  void prefix(const Matrix& x, const Cache& cache) override;
  void flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache, const Matrix& modulation,
            const Matrix& x, const Matrix& velocities) override;

  // ---- primitives ----
  // Matrix products: x (m, k), weight (n, k), out (m, n). Bias may be null. Operands do not overlap unless documented.

  // out = x · weightᵀ + bias
  virtual void linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) = 0;
  // out = gelu_tanh(x · weightᵀ + bias)
  virtual void linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) = 0;
  // out = gelu_tanh(x · gateᵀ) * (x · upᵀ)
  virtual void gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out) = 0;
  // stream += x · weightᵀ + bias
  virtual void linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream) = 0;
  // stream[r] += gate[time_row[r]] * (x · weightᵀ)[r]; gate (times, n)
  virtual void linear_gated_add(const Matrix& x, const Tensor& weight, const Matrix& gate, const int32_t* time_row,
                                const Matrix& stream) = 0;

  // out = (x - mean) / sqrt(variance + 1e-6) * weight + bias
  virtual void layer_norm(const Matrix& x, const Affine& norm, const Matrix& out) = 0;
  // out = x / sqrt(mean(x²) + 1e-6) * (1 + weight)
  virtual void rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out) = 0;
  // out[r] = x / sqrt(mean(x²) + 1e-6) * (1 + scale[time_row[r]]) + shift[time_row[r]]; modulation (times, >= 2 *
  // width): scale, shift
  virtual void adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row,
                                 const Matrix& out) = 0;

  // In place: rotary position embedding of each head, row r at position first + r; theta 10000, rotate-half.
  virtual void rope(const Matrix& x, int64_t heads, int64_t first) = 0;
  // out = softmax(q · kᵀ / sqrt(head_dim)) · v per head; q, out (batch * n, heads * head_dim), k, v (batch * m,
  // kv_heads * head_dim); softmax in F32.
  virtual void attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                         const Matrix& out) = 0;

  virtual void silu(const Matrix& x) = 0;  // in place
  // x[r] = frozen_mask[r] ? prev_chunk[r] : noise[r]
  virtual void start(const Inputs& in, const Matrix& x) = 0;
  // Guidance, then one Euler step:
  //   e = prefix_weights[r] * (prev_chunk[r] - (x[r] - times[step] * velocity[r]))
  //   velocity[r] -= guidance_weights[step] * e
  //   x[r] = frozen_mask[r] ? prev_chunk[r] : x[r] - velocity[r] / steps
  virtual void euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x) = 0;

 protected:
  Weights weights_;  // in the backend's memory; load() fills it

 private:
  void prefix_layer(int64_t layer, const Matrix& x, const Cache& cache);
  void flow_step(const Inputs& in, int64_t step, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                 const Matrix& modulation, const Matrix& x, const Matrix& velocity);
  // h (horizon, expert width) F32, in and out. modulation (times, 2 * 3 * width): this layer's columns.
  void expert_layer(int64_t layer, const int32_t* time_row, int64_t prefix_tokens, const Cache& cache,
                    const Matrix& modulation, const Matrix& h);

  struct VisionScratch {
    Matrix x;                   // (slots * patches, hidden) F32
    Matrix norm, q, k, v, att;  // (slots * patches, hidden)
    Matrix mid;                 // (slots * patches, mlp)
  } vision_;
  struct PrefixScratch {
    Matrix norm;    // (max_prefix, width)
    Matrix q, att;  // (max_prefix, heads * head_dim)
    Matrix mid;     // (max_prefix, mlp)
  } prefix_;
  struct ExpertScratch {
    Matrix h;       // (horizon, width) F32
    Matrix norm;    // (horizon, width)
    Matrix q, att;  // (horizon, heads * head_dim)
    Matrix mid;     // (horizon, mlp)
  } expert_;
};

}  // namespace pi05
