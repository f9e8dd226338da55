// A checkpoint directory: its memory-mapped weights and the properties of its model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/dimensions.h"
#include "backend/weights.h"
#include "checkpoint/safetensors.h"
#include "pi05/pi05.h"

namespace pi05 {

struct Checkpoint {
  Dimensions dims;
  Weights weights;  // points into files and aligned
  pi05_family family = PI05_FAMILY_OPENPI;
  const char* family_reason = "";  // how it was detected, one clause; static
  pi05_resize resize = PI05_RESIZE_PILLOW;
  bool state_in_prompt = true;
  int64_t padded_state = 0;  // as in pi05_info
  int64_t rtc_trained_max_delay = 0;
  int64_t parameters = 0;    // stored values, including those of unused tensors
  int64_t weight_bytes = 0;  // size of those values
  int64_t used_parameters = 0;
  int64_t read_bytes = 0;  // read by every inference: used tensors without the embedding table

  std::vector<Safetensors> files;
  std::vector<std::unique_ptr<char[]>> aligned;  // copies of tensors that are not aligned in the file
};

// Throws Error with all problems, one per line: PI05_CHECKPOINT_MISSING for a directory, weights file or shard;
// PI05_CHECKPOINT_TENSORS for missing or unknown tensors, wrong shapes and types, and damaged headers;
// PI05_CHECKPOINT_AMBIGUOUS where the files do not state the horizon or the version of LeRobot.
Checkpoint open_checkpoint(const std::string& directory);

// One problem of a checkpoint; the text may have details, one per line.
struct Problem {
  pi05_status status = PI05_CHECKPOINT_TENSORS;
  std::string text;
};

// Opens a checkpoint without loading it: `problems` (out) has all problems, and the result has what could be read. Its
// weights must not be used. Throws Error(PI05_CHECKPOINT_MISSING) if the directory does not exist.
Checkpoint inspect_checkpoint(const std::string& directory, std::vector<Problem>& problems);

}  // namespace pi05
