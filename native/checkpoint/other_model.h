// Recognises checkpoints that are complete but not Pi0.5.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace pi05 {

// What the checkpoint is instead of Pi0.5, with the reason, such as `a Pi0 checkpoint; this runs Pi0.5 (…)`; empty
// where nothing says that it is another one. `config_type`: "type" of LeRobot's config.json, empty where there is none.
std::string other_model(const std::string& config_type, const std::vector<Safetensors>& files);

}  // namespace pi05
