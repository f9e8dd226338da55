// Random checkpoints: what the demo, benchmarks and tests run on where there is no trained one.
#pragma once

#include <cstdint>
#include <string>

#include "backend/dimensions.h"
#include "pi05/pi05.h"

namespace pi05 {

// tiny: the test fixtures' sizes; demo: an inference takes well under 100 ms of one core; full: the standard sizes.
// Horizon 15 and 200 prompt tokens, vocabulary 512 but for full.
Dimensions dimensions_of(pi05_size size);

// Writes model.safetensors (openpi's names and stored types) and pi05_model.json into an existing directory. Every
// value is a function of the seed, the tensor's name and its index alone; activations keep the order of 1, adaptive
// gates average 0.35. Throws Error(PI05_CHECKPOINT_MISSING) where a file cannot be written.
void make_checkpoint(const std::string& directory, const Dimensions& dimensions, uint64_t seed);

}  // namespace pi05
