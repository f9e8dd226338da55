// Every tensor of a Pi0.5 checkpoint: name, shape, where it goes, what a random one looks like. The only such list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/dimensions.h"
#include "backend/weights.h"

namespace pi05 {

enum class Role {
  Linear,    // a product's weight or bias
  QueryKey,  // likewise, a little larger when random
  Gate,      // first product of an MLP, likewise
  Projector,
  Patch,
  Position,
  Embedding,
  LayerNorm,
  RmsNorm,
  Adaptive,  // condition -> scale, shift, gate
  Time,
};

struct TensorSpec {
  std::string name;  // openpi's
  std::vector<int64_t> shape;
  Role role;
  DType stored;  // as openpi's bf16 checkpoints have it; any of the three loads
  Tensor* into;  // null: present in a checkpoint, never used
};

constexpr const char* kLmHead = "paligemma_with_expert.paligemma.lm_head.weight";
constexpr const char* kEmbedTokens = "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight";
constexpr const char* kExpertLmHead = "paligemma_with_expert.gemma_expert.lm_head.weight";

// Sizes the lists in `weights`, which must outlive the result. The embedding table is listed once, as kLmHead; it may
// be stored as kEmbedTokens instead, or as both. kExpertLmHead is listed last and may be missing.
std::vector<TensorSpec> tensor_table(const Dimensions& dimensions, Weights& weights);

}  // namespace pi05
