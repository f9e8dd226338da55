// The model description in a checkpoint's JSON files: `pi05_model.json` (this project's), or the `config.json` of
// LeRobot or openpi.
#pragma once

#include <optional>
#include <string>

#include "backend/dimensions.h"
#include "pi05/pi05.h"

namespace pi05 {

// Versions of LeRobot that use a checkpoint differently.
enum class LerobotVersion {
  Before_0_5,  // up to 0.4.4: the normalised state is padded in the prompt, borders of images are -3
  From_0_5,
};

struct ModelFile {
  Dimensions dims;
  std::optional<pi05_family> family;
  std::optional<pi05_resize> resize;
  bool state_in_prompt = true;
  int64_t rtc_trained_max_delay = 0;
  // The version of LeRobot's training: stated in pi05_model.json, or From_0_5 where a file has what came with 0.5.1.
  std::optional<LerobotVersion> lerobot_version;
  int64_t max_state_dim = 32;      // LeRobot's, to which the state was padded
  bool has_model_file = false;     // pi05_model.json exists
  std::string config_type;         // "type" in config.json, which LeRobot writes; empty where there is none
  bool is_lerobot_config = false;  // that type is "pi05"
};

// The dimensions are those of pi05_model.json; those it leaves out are those of a config.json: LeRobot's (chunk_size,
// …) or that of openpi's converter (action_horizon, action_dim); the others are the standard ones. There is no standard
// horizon: it is 0 where neither file states it. Throws Error(PI05_CHECKPOINT_TENSORS) with all problems of a file, one
// per line: unknown members, wrong types, contradictory sizes.
ModelFile read_model_file(const std::string& directory);

// The content of a pi05_model.json with these dimensions.
std::string model_file_text(const Dimensions& dimensions);

}  // namespace pi05
