// What a checkpoint directory contains where the weights are missing: a directory above or below the one that is meant,
// a checkpoint of JAX, an adapter.
#pragma once

#include <string>

namespace pi05 {

// Explains a directory without model.safetensors: the end of a sentence, beginning with a separator; empty where there
// is nothing to say. Searches a few levels of subdirectories.
std::string missing_weights_explanation(const std::string& directory);

}  // namespace pi05
