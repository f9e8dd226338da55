// The Gemma prefix, made of primitives.
#include "backend/reference_ops.h"

namespace pi05 {

void ReferenceOps::prefix(const Matrix& x, const Cache& cache) {
  for (int64_t layer = 0; layer < dims.prefix.layers; layer++) prefix_layer(layer, x, cache);
}

void ReferenceOps::prefix_layer(int64_t layer, const Matrix& x, const Cache& cache) {
  const auto& d = dims.prefix;
  const PrefixLayer& w = weights_.prefix[static_cast<size_t>(layer)];
  const Matrix norm = prefix_.norm.rows_from(0, x.rows);
  const Matrix k = cache.k.rows_from(layer * cache.capacity, x.rows);
  const Matrix v = cache.v.rows_from(layer * cache.capacity, x.rows);

  rms_norm(x, w.input_norm, norm);
  linear(norm, w.k, nullptr, k);
  linear(norm, w.v, nullptr, v);
  rope(k, d.kv_heads, 0);
  if (layer == d.layers - 1) return;

  const Matrix q = prefix_.q.rows_from(0, x.rows), att = prefix_.att.rows_from(0, x.rows);
  const Matrix mid = prefix_.mid.rows_from(0, x.rows);
  linear(norm, w.q, nullptr, q);
  rope(q, d.heads, 0);
  attention(q, k, v, {1, d.heads, d.kv_heads, d.head_dim}, att);
  linear_add(att, w.o, nullptr, x);
  rms_norm(x, w.post_norm, norm);
  gated_linear(norm, w.gate, w.up, mid);
  linear_add(mid, w.down, nullptr, x);
}

}  // namespace pi05
