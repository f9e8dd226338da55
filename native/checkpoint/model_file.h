// The model description in a checkpoint's JSON files: `pi05_model.json` (this project's), or the `config.json` of
// LeRobot or openpi.
#pragma once

#include <optional>
#include <string>

#include "backend/dimensions.h"
#include "pi05/pi05.h"

namespace pi05 {

struct ModelFile {
  Dimensions dims;
  std::optional<pi05_family> family;
  std::optional<pi05_resize> resize;
  bool state_in_prompt = true;
  int64_t rtc_trained_max_delay = 0;
  bool has_model_file = false;     // pi05_model.json exists
  bool is_lerobot_config = false;  // config.json has "type": "pi05"
};

// Without pi05_model.json the dimensions are the standard ones, except for those in a config.json: LeRobot's
// (chunk_size, …), or that of openpi's converter (action_horizon, action_dim). Throws Error(PI05_CHECKPOINT_TENSORS)
// with all problems of a file, one per line: unknown members, wrong types, contradictory sizes.
ModelFile read_model_file(const std::string& directory);

// The content of a pi05_model.json with these dimensions.
std::string model_file_text(const Dimensions& dimensions);

}  // namespace pi05
