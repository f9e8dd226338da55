#include "model/rtc.h"

#include <algorithm>
#include <cmath>

namespace pi05 {

std::vector<float> prefix_weights(pi05_rtc_schedule schedule, int64_t start, int64_t end, int64_t rows) {
  end = std::min(end, rows);
  start = std::min(start, end);
  std::vector<float> weights;
  for (int64_t i = 0; i < rows; i++) {
    const double linear =
        std::clamp(static_cast<double>(start - 1 - i) / static_cast<double>(end - start + 1) + 1.0, 0.0, 1.0);
    double weight = i < end ? 1 : 0;
    if (schedule == PI05_RTC_ZEROS) weight = i < start ? 1 : 0;
    if (schedule == PI05_RTC_LINEAR) weight *= linear;
    if (schedule == PI05_RTC_EXP) weight *= linear * std::expm1(linear) / std::expm1(1.0);
    weights.push_back(static_cast<float>(weight));
  }
  return weights;
}

float guidance_weight(double time, float max_weight) {
  const double tau = 1.0 - time, rest = (1.0 - tau) * (1.0 - tau);
  if (tau <= 0.0 || rest == 0.0) return max_weight;
  return std::min(max_weight, static_cast<float>((1.0 - tau) / tau * ((rest + tau * tau) / rest)));
}

}  // namespace pi05
