// SigLIP and the projector, made of primitives.
#include "backend/reference_ops.h"

namespace pi05 {

void ReferenceOps::vision(const Matrix& patches, int64_t cameras, const Matrix& out) {
  const int64_t rows = patches.rows;
  const Matrix x = vision_.x.rows_from(0, rows), norm = vision_.norm.rows_from(0, rows);
  const Matrix q = vision_.q.rows_from(0, rows), k = vision_.k.rows_from(0, rows), v = vision_.v.rows_from(0, rows);
  const Matrix att = vision_.att.rows_from(0, rows), mid = vision_.mid.rows_from(0, rows);
  const AttentionShape shape{cameras, dims.vision.heads, dims.vision.heads, dims.vision.head_dim()};
  const Weights& w = weights_;

  const Matrix position{const_cast<void*>(w.position.data), w.position.dtype, w.position.rows, w.position.cols,
                        w.position.cols};
  copy(position, x);
  linear_add(patches, w.patch.weight, &w.patch.bias, x);
  for (const VisionLayer& layer : w.vision) {
    layer_norm(x, layer.norm1, norm);
    linear(norm, layer.q.weight, &layer.q.bias, q);
    linear(norm, layer.k.weight, &layer.k.bias, k);
    linear(norm, layer.v.weight, &layer.v.bias, v);
    attention(q, k, v, shape, att);
    linear_add(att, layer.out.weight, &layer.out.bias, x);
    layer_norm(x, layer.norm2, norm);
    linear_gelu(norm, layer.fc1.weight, &layer.fc1.bias, mid);
    linear_add(mid, layer.fc2.weight, &layer.fc2.bias, x);
  }
  layer_norm(x, w.vision_norm, norm);
  linear(norm, w.projector.weight, &w.projector.bias, out);
}

}  // namespace pi05
