// The weights of the model as the checkpoint stores them: (out, in) row-major, any DType. Pointers are borrowed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/dtype.h"

namespace pi05 {

struct Tensor {
  const void* data = nullptr;
  DType dtype = DType::F32;
  int64_t rows = 0;  // 1 for a vector
  int64_t cols = 0;
};

struct Affine {
  Tensor weight;
  Tensor bias;
};

struct VisionLayer {
  Affine norm1;         // (hidden)
  Affine q, k, v, out;  // (hidden, hidden)
  Affine norm2;         // (hidden)
  Affine fc1;           // (mlp, hidden)
  Affine fc2;           // (hidden, mlp)
};

struct PrefixLayer {
  Tensor input_norm;  // (width), used as 1 + w
  Tensor q;           // (heads * head_dim, width)
  Tensor k, v;        // (kv_heads * head_dim, width)
  Tensor o;           // (width, heads * head_dim)
  Tensor post_norm;   // (width), used as 1 + w
  Tensor gate, up;    // (mlp, width)
  Tensor down;        // (width, mlp)
};

struct ExpertLayer {
  Affine input_norm;  // (3 * width, width): condition -> scale, shift, gate
  Tensor q;           // (heads * head_dim, width)
  Tensor k, v;        // (kv_heads * head_dim, width)
  Tensor o;           // (width, heads * head_dim)
  Affine post_norm;   // (3 * width, width)
  Tensor gate, up;    // (mlp, width)
  Tensor down;        // (width, mlp)
};

struct Weights {
  Affine patch;     // (hidden, 3 * patch * patch): channel, row, column
  Tensor position;  // (patches, hidden)
  std::vector<VisionLayer> vision;
  Affine vision_norm;               // (hidden)
  Affine projector;                 // (prefix width, hidden)
  Tensor embedding;                 // (vocab, prefix width)
  std::vector<PrefixLayer> prefix;  // the last layer's o, post_norm, gate, up and down are unused
  std::vector<ExpertLayer> expert;
  Affine final_norm;         // (3 * width, width); its gate is unused
  Affine action_in;          // (width, action dim)
  Affine action_out;         // (action dim, width)
  Affine time_in, time_out;  // (width, width)
  std::string source;        // identifies the files: equal sources have equal weights; empty = unknown
};

}  // namespace pi05
