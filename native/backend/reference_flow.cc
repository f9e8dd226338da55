// The action expert and the Euler steps of the flow, made of primitives.
#include "backend/conditioning.h"
#include "backend/reference_ops.h"

namespace pi05 {

void ReferenceOps::conditioning(const Matrix& embedding, const Matrix& condition, const Matrix& modulation) {
  compute_conditioning(*this, weights_, embedding, condition, modulation);
}

void ReferenceOps::flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                        const Matrix& modulation, const Matrix& x, const Matrix& velocities) {
  start(in, x);
  for (int64_t step = 0; step < steps; step++)
    flow_step(in, step, steps, prefix_tokens, cache, modulation, x, velocities.rows_from(step * x.rows, x.rows));
}

void ReferenceOps::flow_step(const Inputs& in, int64_t step, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                             const Matrix& modulation, const Matrix& x, const Matrix& velocity) {
  const Weights& w = weights_;
  const int32_t* time_row = in.time_row + step * dims.horizon;
  const int64_t norm_columns = 3 * dims.expert.width;

  linear(x, w.action_in.weight, &w.action_in.bias, expert_.h);
  for (int64_t layer = 0; layer < dims.expert.layers; layer++)
    expert_layer(layer, time_row, prefix_tokens, cache,
                 modulation.cols_from(2 * layer * norm_columns, 2 * norm_columns), expert_.h);
  adaptive_rms_norm(expert_.h, modulation.cols_from(2 * dims.expert.layers * norm_columns, norm_columns), time_row,
                    expert_.norm);
  linear(expert_.norm, w.action_out.weight, &w.action_out.bias, velocity);
  euler_step(in, step, steps, velocity, x);
}

void ReferenceOps::expert_layer(int64_t layer, const int32_t* time_row, int64_t prefix_tokens, const Cache& cache,
                                const Matrix& modulation, const Matrix& h) {
  const auto& d = dims.expert;
  const ExpertLayer& w = weights_.expert[static_cast<size_t>(layer)];
  const Matrix k = cache.k.rows_from(layer * cache.capacity, prefix_tokens + h.rows);
  const Matrix v = cache.v.rows_from(layer * cache.capacity, prefix_tokens + h.rows);
  const Matrix action_k = k.rows_from(prefix_tokens, h.rows), action_v = v.rows_from(prefix_tokens, h.rows);
  const Matrix &norm = expert_.norm, &q = expert_.q, &att = expert_.att, &mid = expert_.mid;

  adaptive_rms_norm(h, modulation, time_row, norm);
  linear(norm, w.q, nullptr, q);
  linear(norm, w.k, nullptr, action_k);
  linear(norm, w.v, nullptr, action_v);
  rope(q, d.heads, prefix_tokens);
  rope(action_k, d.kv_heads, prefix_tokens);
  attention(q, k, v, {1, d.heads, d.kv_heads, d.head_dim}, att);
  linear_gated_add(att, w.o, modulation.cols_from(2 * d.width, d.width), time_row, h);

  const Matrix post = modulation.cols_from(3 * d.width, 3 * d.width);
  adaptive_rms_norm(h, post, time_row, norm);
  gated_linear(norm, w.gate, w.up, mid);
  linear_gated_add(mid, w.down, post.cols_from(2 * d.width, d.width), time_row, h);
}

}  // namespace pi05
