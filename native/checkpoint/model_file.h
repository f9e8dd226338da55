// What a checkpoint's JSON files say about its model: `pi05_model.json` (ours), LeRobot's `config.json` or openpi's.
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
  bool is_own = false;             // there is a pi05_model.json
  bool is_lerobot_config = false;  // config.json has "type": "pi05"
};

// Without pi05_model.json the standard dimensions hold, but for what a config.json says: LeRobot's (chunk_size, …), or
// the one that openpi's converter writes (action_horizon, action_dim). Throws
// Error(PI05_CHECKPOINT_TENSORS) with every fault of a file, a line each: unknown members, wrong types, sizes that do
// not fit together.
ModelFile read_model_file(const std::string& directory);

// The text of a pi05_model.json for these dimensions.
std::string model_file_text(const Dimensions& dimensions);

}  // namespace pi05
