// The modulation table of the action expert, from any backend's linear() and silu().
#pragma once

#include "backend/ops.h"

namespace pi05 {

// As Ops::conditioning. linear(x, weight, bias, out), silu(x) in place.
template <typename Backend>
void compute_conditioning(Backend& ops, const Weights& w, const Matrix& embedding, const Matrix& condition,
                          const Matrix& modulation) {
  const int64_t width = ops.dims.expert.width, columns = 3 * width;
  const Matrix hidden = modulation.cols_from(0, width);  // free until the first norm is written
  ops.linear(embedding, w.time_in.weight, &w.time_in.bias, hidden);
  ops.silu(hidden);
  ops.linear(hidden, w.time_out.weight, &w.time_out.bias, condition);
  ops.silu(condition);

  int64_t first = 0;
  const auto project = [&](const Affine& norm) {
    ops.linear(condition, norm.weight, &norm.bias, modulation.cols_from(first, columns));
    first += columns;
  };
  for (const ExpertLayer& layer : w.expert) {
    project(layer.input_norm);
    project(layer.post_norm);
  }
  project(w.final_norm);
}

}  // namespace pi05
