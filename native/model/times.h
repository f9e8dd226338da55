// The flow's times, from 1 (noise) down, and how the model sees them.
#pragma once

#include <cstdint>
#include <vector>

#include "pi05/pi05.h"

namespace pi05 {

// (steps) The times that the family's own sampler visits. The embedding multiplies a time by up to 1571, so the last
// bit counts: openpi adds -1/steps again and again in float32; LeRobot rounds 1 + k * (-1/steps), computed in double.
std::vector<float> flow_times(pi05_family family, int64_t steps);

// (times, width): sin, then cos of 2 pi t / period, period from 4e-3 to 4 in width/2 geometric steps; angles in double.
std::vector<float> embed_times(const std::vector<float>& times, int64_t width);

}  // namespace pi05
