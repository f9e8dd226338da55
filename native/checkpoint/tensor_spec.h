// The list of all tensors of a Pi0.5 checkpoint: name, shape, type, place in Weights, and kind (for random weights).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/dimensions.h"
#include "backend/weights.h"

namespace pi05 {

// Determines the distribution of random weights.
enum class Role {
  Linear,
  QueryKey,  // a linear layer with a larger deviation
  Gate,      // first linear layer of an MLP, with a larger deviation
  Projector,
  Patch,
  Position,
  Embedding,
  LayerNorm,
  RmsNorm,
  Adaptive,  // adaRMS: condition -> scale, shift, gate
  Time,      // MLP of the time embedding
};

struct TensorSpec {
  std::string name;  // in openpi checkpoints
  std::vector<int64_t> shape;
  Role role;
  DType stored;    // type in openpi's bf16 checkpoints; all types of DType are accepted
  Tensor* tensor;  // in Weights; null for a tensor that inference does not use
};

constexpr const char* kLmHead = "paligemma_with_expert.paligemma.lm_head.weight";
constexpr const char* kEmbedTokens = "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight";
constexpr const char* kExpertLmHead = "paligemma_with_expert.gemma_expert.lm_head.weight";

// Resizes the layer lists of `weights`, which must outlive the result. The embedding table is listed once, as kLmHead;
// a checkpoint may store it as kEmbedTokens or as both. kExpertLmHead is the last and may be missing.
std::vector<TensorSpec> tensor_specs(const Dimensions& dimensions, Weights& weights);

}  // namespace pi05
