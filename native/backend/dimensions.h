// The sizes of a Pi0.5 model. The defaults are the standard ones; `pi05_model.json` overrides them.
#pragma once

#include <cstdint>

namespace pi05 {

// The largest number of Euler steps that an inference may have.
constexpr int64_t kMaxSteps = 100;

struct Dimensions {
  struct Vision {
    int64_t hidden = 1152;
    int64_t layers = 27;
    int64_t mlp = 4304;
    int64_t heads = 16;
    int64_t image_size = 224;
    int64_t patch = 14;

    int64_t head_dim() const { return hidden / heads; }
    int64_t side() const { return image_size / patch; }
    int64_t patches() const { return side() * side(); }  // tokens of one camera
    int64_t patch_values() const { return 3 * patch * patch; }
  } vision;

  struct Prefix {
    int64_t width = 2048;
    int64_t layers = 18;
    int64_t mlp = 16384;
    int64_t heads = 8;
    int64_t kv_heads = 1;
    int64_t head_dim = 256;
    int64_t vocab = 257152;
  } prefix;

  // Attends to the prefix's keys and values, so layers, kv_heads and head_dim are the prefix's.
  struct Expert {
    int64_t width = 1024;
    int64_t layers = 18;
    int64_t mlp = 4096;
    int64_t heads = 8;
    int64_t kv_heads = 1;
    int64_t head_dim = 256;
  } expert;

  int64_t action_dim = 32;
  int64_t horizon = 50;
  int64_t steps = 10;        // Euler steps of the flow
  int64_t max_tokens = 200;  // prompt tokens
  int64_t slots = 3;         // cameras

  int64_t max_prefix() const { return slots * vision.patches() + max_tokens; }
  // One modulation row: scale, shift and gate of every adaptive norm, [attention, MLP] by layer, then the final one.
  int64_t modulation_width() const { return (2 * expert.layers + 1) * 3 * expert.width; }
};

}  // namespace pi05
