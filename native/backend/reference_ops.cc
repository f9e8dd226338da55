#include "backend/reference_ops.h"

namespace pi05 {

void ReferenceOps::reserve() {
  const DType type = activation_type();
  const int64_t pixels = dims.slots * dims.vision.patches();
  for (Matrix* m : {&vision_.norm, &vision_.q, &vision_.k, &vision_.v, &vision_.att})
    *m = allocate(pixels, dims.vision.hidden, vision_type());
  vision_.x = allocate(pixels, dims.vision.hidden, DType::F32);
  vision_.mid = allocate(pixels, dims.vision.mlp, vision_type());

  const auto& p = dims.prefix;
  prefix_.norm = allocate(dims.max_prefix(), p.width, type);
  prefix_.q = allocate(dims.max_prefix(), p.heads * p.head_dim, type);
  prefix_.att = allocate(dims.max_prefix(), p.heads * p.head_dim, type);
  prefix_.mid = allocate(dims.max_prefix(), p.mlp, type);

  const auto& e = dims.expert;
  expert_.h = allocate(dims.horizon, e.width, DType::F32);
  expert_.norm = allocate(dims.horizon, e.width, type);
  expert_.q = allocate(dims.horizon, e.heads * e.head_dim, type);
  expert_.att = allocate(dims.horizon, e.heads * e.head_dim, type);
  expert_.mid = allocate(dims.horizon, e.mlp, type);
}

}  // namespace pi05
