// Real-time chunking's weights, after LeRobot and kinetix. Guided: velocity -= w * W ⊙ (Y - (x - t * velocity)); that
// is what LeRobot computes in practice, without the denoiser's Jacobian.
#pragma once

#include <cstdint>
#include <vector>

#include "pi05/pi05.h"

namespace pi05 {

// (rows) W: 1 before `start`, 0 from `end`, between them by the schedule. end is cut to rows, as LeRobot does and
// kinetix does not, and start to end.
std::vector<float> prefix_weights(pi05_rtc_schedule schedule, int64_t start, int64_t end, int64_t rows);

// w at time t (1 = noise): min(max_weight, (1 - tau) / tau * (tau² + (1 - tau)²) / (1 - tau)²), tau = 1 - t; max_weight
// at tau = 0.
float guidance_weight(double time, float max_weight);

}  // namespace pi05
