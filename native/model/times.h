// The times of the flow-matching steps, from 1 (noise) down, and their embedding.
#pragma once

#include <cstdint>
#include <vector>

#include "pi05/pi05.h"

namespace pi05 {

// (steps) The times of the family's sampler, to the last bit, because the embedding multiplies a time by up to 1571:
// openpi accumulates -1/steps in float32; LeRobot computes 1 + k * (-1/steps) in double and rounds.
std::vector<float> flow_times(pi05_family family, int64_t steps);

// (times, width): sin, then cos of 2 pi t / period, period from 4e-3 to 4 in width/2 geometric steps; angles in double.
std::vector<float> embed_times(const std::vector<float>& times, int64_t width);

}  // namespace pi05
