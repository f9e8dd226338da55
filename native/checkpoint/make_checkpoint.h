// Checkpoints with random weights, for tests and benchmarks.
#pragma once

#include <cstdint>
#include <string>

#include "backend/dimensions.h"
#include "pi05/make_checkpoint.h"

namespace pi05 {

// The horizon is 15 and a prompt has up to 200 tokens. The vocabulary is 512, for FULL the standard one.
Dimensions dimensions_of(pi05_size size);

// Writes model.safetensors (openpi's names and types) and pi05_model.json into an existing directory. A value depends
// only on the seed, the tensor's name and the index in the tensor. Activations stay around 1; adaptive gates average
// 0.35. Throws Error(PI05_CHECKPOINT_MISSING) if a file cannot be written.
void make_checkpoint(const std::string& directory, const Dimensions& dimensions, uint64_t seed);

}  // namespace pi05
