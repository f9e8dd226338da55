// A checkpoint directory, opened: mapped weights under their places, and what was concluded about the model.
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
  Weights weights;  // valid while the checkpoint lives
  pi05_family family = PI05_FAMILY_OPENPI;
  const char* family_reason = "";  // one clause; static
  pi05_resize resize = PI05_RESIZE_PILLOW;
  bool state_in_prompt = true;
  int64_t rtc_trained_max_delay = 0;
  int64_t parameters = 0;    // stored values, unused tensors included
  int64_t weight_bytes = 0;  // likewise
  int64_t used_parameters = 0;
  int64_t read_bytes = 0;  // by every inference: of what is used, all but the embedding table

  std::vector<Safetensors> files;
  std::vector<std::unique_ptr<char[]>> aligned;  // copies of tensors that a file holds at an odd address
};

// Throws Error: PI05_CHECKPOINT_MISSING where there is no such directory, weights file or shard;
// PI05_CHECKPOINT_TENSORS with everything that is wrong, a line each: missing, unknown, misshapen and wrongly typed
// tensors, faults of a header.
Checkpoint open_checkpoint(const std::string& directory);

// One thing wrong with a checkpoint.
struct Fault {
  pi05_status status = PI05_CHECKPOINT_TENSORS;
  std::string text;
};

// The same without an end at the first kind of fault: everything wrong is in `faults`, and what could be known in the
// result, whose weights are not to be used then. Throws Error(PI05_CHECKPOINT_MISSING) where there is no such
// directory.
Checkpoint survey_checkpoint(const std::string& directory, std::vector<Fault>& faults);

}  // namespace pi05
