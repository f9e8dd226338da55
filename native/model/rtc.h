// The weights of guided real-time chunking, as LeRobot computes them:
//   velocity -= guidance_weight * prefix_weights ⊙ (prev_chunk - (x - t * velocity))
// The original code (real-time-chunking-kinetix) also multiplies by the Jacobian of the denoiser; LeRobot does not.
#pragma once

#include <cstdint>
#include <vector>

#include "pi05/pi05.h"

namespace pi05 {

// (rows) 1 before `start`, 0 from `end` on, between them by the schedule. An `end` above rows counts as rows, as in
// LeRobot (not in the original code), and a `start` above `end` as `end`.
std::vector<float> prefix_weights(pi05_rtc_schedule schedule, int64_t start, int64_t end, int64_t rows);

// At time t (1 = noise): min(max_weight, (1 - tau) / tau * (tau² + (1 - tau)²) / (1 - tau)²), tau = 1 - t; max_weight
// at tau = 0.
float guidance_weight(double time, float max_weight);

}  // namespace pi05
