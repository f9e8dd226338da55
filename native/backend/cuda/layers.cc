// The stages SigLIP, prefix and flow. A layer's q, k and v are one matrix product; RoPE and the copy into the KV cache
// are one kernel, or part of that product; and a split-K product leaves its sum to the norm that follows.
#include "backend/cuda/check.h"
#include "backend/cuda/cuda_ops.h"
#include "backend/cuda/kernels/expert.h"

namespace pi05 {

void CudaOps::vision(const Matrix& patches, int64_t cameras, const Matrix& out) {
  const auto& d = dims.vision;
  const int64_t rows = patches.rows;
  const Matrix x = vision_.x.rows_from(0, rows), norm = vision_.norm.rows_from(0, rows);
  const Matrix att = vision_.att.rows_from(0, rows), mid = vision_.mid.rows_from(0, rows);
  const Matrix qkv = qkv_buffer(rows, 3 * d.hidden, vision_type());
  const AttentionShape shape{cameras, d.heads, d.heads, d.head_dim()};
  const Weights& w = weights_;

  const Matrix position{const_cast<void*>(w.position.data), DType::F32, w.position.rows, w.position.cols,
                        w.position.cols};
  copy(position, x);
  linear_add(patches, w.patch.weight, &w.patch.bias, x);
  kernels::SplitKPartials partials;
  for (size_t i = 0; i < w.vision.size(); i++) {
    const VisionLayer& layer = w.vision[i];
    layer_norm(x, layer.norm1, norm, partials);
    siglip_linear(norm, loaded_->vision_qkv()[i].weight, loaded_->vision_qkv()[i].bias, false, qkv);
    attention(qkv.cols_from(0, d.hidden), qkv.cols_from(d.hidden, d.hidden), qkv.cols_from(2 * d.hidden, d.hidden),
              shape, att);
    partials = siglip_add_split_k(att, layer.out, x);
    layer_norm(x, layer.norm2, norm, partials);
    siglip_linear(norm, layer.fc1.weight, layer.fc1.bias, true, mid);
    partials = siglip_add_split_k(mid, layer.fc2, x);
  }
  layer_norm(x, w.vision_norm, norm, partials);
  linear(norm, w.projector.weight, &w.projector.bias, out);
  mark(static_cast<int>(Stage::Vision));
}

void CudaOps::siglip_linear(const Matrix& x, const Tensor& weight, const Tensor& bias, bool gelu, const Matrix& out) {
  if (kernels::siglip_gemm_supported(x, weight))
    check(kernels::siglip_gemm(x, weight, bias.data, gelu, out, stream_), "kernel siglip_gemm");
  else if (gelu)
    linear_gelu(x, weight, &bias, out);
  else
    linear(x, weight, &bias, out);
}

kernels::SplitKPartials CudaOps::siglip_add_split_k(const Matrix& x, const Affine& layer, const Matrix& stream) {
  const int64_t splits = kernels::siglip_gemm_splits(x, layer.weight);
  if (splits == 0) {
    linear_add(x, layer.weight, &layer.bias, stream);
    return {};
  }
  const Matrix partials = scratch(splits * x.rows, layer.weight.rows, DType::F32);
  check(kernels::siglip_gemm_split_k(x, layer.weight, partials, stream_), "kernel siglip_gemm_split_k");
  return kernels::split_k_partials(partials, splits, layer.bias.data);
}

void CudaOps::prefix(const Matrix& x, const Cache& cache) {
  kernels::SplitKPartials partials;
  for (int64_t layer = 0; layer < dims.prefix.layers; layer++)
    partials = fp8_ ? prefix_layer_fp8(layer, x, cache, partials) : prefix_layer(layer, x, cache, partials);
  mark(static_cast<int>(Stage::Prefix));
}

kernels::SplitKPartials CudaOps::prefix_layer(int64_t layer, const Matrix& x, const Cache& cache,
                                              const kernels::SplitKPartials& before) {
  const auto& d = dims.prefix;
  const PrefixLayer& w = weights_.prefix[static_cast<size_t>(layer)];
  const int64_t q_cols = d.heads * d.head_dim, kv_cols = d.kv_heads * d.head_dim;
  const Matrix norm = prefix_.norm.rows_from(0, x.rows);
  const Matrix k = cache.k.rows_from(layer * cache.capacity, x.rows);
  const Matrix v = cache.v.rows_from(layer * cache.capacity, x.rows);
  const Tensor& qkv_weight = loaded_->prefix_qkv()[static_cast<size_t>(layer)].weight;

  rms_norm(x, w.input_norm, norm, before);
  if (layer == d.layers - 1) {  // keys and values only: the last rows of the weight
    const Matrix kv = qkv_buffer(x.rows, 2 * kv_cols, type_);
    linear(norm, {w.k.data, qkv_weight.dtype, 2 * kv_cols, qkv_weight.cols}, nullptr, kv);
    rope_split(kv, 0, d.kv_heads, 0, k, v);
    return {};
  }
  const Matrix qkv = qkv_buffer(x.rows, q_cols + 2 * kv_cols, type_), att = prefix_.att.rows_from(0, x.rows);
  const Matrix mid = prefix_.mid.rows_from(0, x.rows);
  linear(norm, qkv_weight, nullptr, qkv);
  rope_split(qkv, d.heads, d.kv_heads, 0, k, v);
  attention(qkv.cols_from(0, q_cols), k, v, {1, d.heads, d.kv_heads, d.head_dim}, att);
  linear_add(att, w.o, nullptr, x);
  rms_norm(x, w.post_norm, norm);
  gated_linear(norm, w.gate, w.up, mid);
  return linear_add_split_k(mid, w.down, x);
}

void CudaOps::flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache, const Matrix& modulation,
                   const Matrix& x, const Matrix& velocities) {
  const Weights& w = weights_;
  const auto values = [](const Tensor& tensor) { return static_cast<const float*>(tensor.data); };
  if (loaded_->packed_expert().bytes() > 0) {
    const kernels::ExpertFlow expert{loaded_->packed_expert().as<void>(),
                                     expert_exchange_.as<void>(),
                                     dims.expert.layers,
                                     steps,
                                     prefix_tokens,
                                     staging_.frozen_rows(),
                                     values(w.action_in.weight),
                                     values(w.action_in.bias),
                                     values(w.action_out.weight),
                                     values(w.action_out.bias)};
    check(kernels::expert_flow(expert, in, cache, modulation, x, velocities, stream_), "kernel expert_flow");
  } else {
    start(in, x);
    for (int64_t step = 0; step < steps; step++)
      flow_step(in, step, steps, prefix_tokens, cache, modulation, x, velocities.rows_from(step * x.rows, x.rows));
  }
  mark(static_cast<int>(Stage::Flow));
}

void CudaOps::flow_step(const Inputs& in, int64_t step, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                        const Matrix& modulation, const Matrix& x, const Matrix& velocity) {
  const Weights& w = weights_;
  const int32_t* time_row = in.time_row + step * dims.horizon;
  const int64_t columns = 3 * dims.expert.width, layers = dims.expert.layers;
  linear(x, w.action_in.weight, &w.action_in.bias, expert_.h);
  PendingResidual pending;
  for (int64_t layer = 0; layer < layers; layer++)
    pending = expert_layer(layer, time_row, prefix_tokens, cache,
                           modulation.cols_from(2 * layer * columns, 2 * columns), expert_.h, pending);
  adaptive_rms_norm(expert_.h, modulation.cols_from(2 * layers * columns, columns), time_row, expert_.norm, pending);
  linear(expert_.norm, w.action_out.weight, &w.action_out.bias, velocity);
  euler_step(in, step, steps, velocity, x);
}

CudaOps::PendingResidual CudaOps::expert_layer(int64_t layer, const int32_t* time_row, int64_t prefix_tokens,
                                               const Cache& cache, const Matrix& modulation, const Matrix& h,
                                               const PendingResidual& before) {
  const auto& d = dims.expert;
  const ExpertLayer& w = weights_.expert[static_cast<size_t>(layer)];
  const Tensor& qkv_weight = loaded_->expert_qkv()[static_cast<size_t>(layer)].weight;
  const int64_t q_cols = d.heads * d.head_dim, kv_cols = d.kv_heads * d.head_dim;
  const Matrix k = cache.k.rows_from(layer * cache.capacity, prefix_tokens + h.rows);
  const Matrix v = cache.v.rows_from(layer * cache.capacity, prefix_tokens + h.rows);
  const Matrix action_k = k.rows_from(prefix_tokens, h.rows), action_v = v.rows_from(prefix_tokens, h.rows);
  const Matrix &norm = expert_.norm, &att = expert_.att, &mid = expert_.mid;
  const Matrix qkv = qkv_buffer(h.rows, q_cols + 2 * kv_cols, type_), q = qkv.cols_from(0, q_cols);

  adaptive_rms_norm(h, modulation, time_row, norm, before);
  if (kernels::skinny_gemm_supported(norm, qkv_weight) && d.head_dim % 64 == 0) {
    check(kernels::skinny_gemm_qkv_rope(norm, qkv_weight, d.heads, d.kv_heads, prefix_tokens, cos_sin_.as<float2>(), q,
                                        action_k, action_v, stream_),
          "kernel skinny_gemm_qkv_rope");
  } else {
    linear(norm, qkv_weight, nullptr, qkv);
    rope_split(qkv, d.heads, d.kv_heads, prefix_tokens, action_k, action_v);
  }
  attention(q, k, v, {1, d.heads, d.kv_heads, d.head_dim}, att);
  const PendingResidual attention_out = gated_residual(att, w.o, modulation.cols_from(2 * d.width, d.width));

  const Matrix post = modulation.cols_from(3 * d.width, 3 * d.width);
  adaptive_rms_norm(h, post, time_row, norm, attention_out);
  gated_linear(norm, w.gate, w.up, mid);
  return gated_residual(mid, w.down, post.cols_from(2 * d.width, d.width));
}

}  // namespace pi05
