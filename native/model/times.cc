#include "model/times.h"

#include <cmath>

namespace pi05 {

std::vector<float> flow_times(pi05_family family, int64_t steps) {
  const double dt = -1.0 / static_cast<double>(steps);
  std::vector<float> times;
  float accumulated = 1.0f;
  for (int64_t k = 0; k < steps; k++) {
    times.push_back(family == PI05_FAMILY_OPENPI ? accumulated : static_cast<float>(1.0 + static_cast<double>(k) * dt));
    accumulated += static_cast<float>(dt);
  }
  return times;
}

std::vector<float> embed_times(const std::vector<float>& times, int64_t width) {
  constexpr double kPi = 3.14159265358979323846, kShortest = 4e-3, kLongest = 4.0;
  const int64_t half = width / 2;
  std::vector<float> embedding(times.size() * static_cast<size_t>(width));
  for (size_t row = 0; row < times.size(); row++) {
    float* to = &embedding[row * static_cast<size_t>(width)];
    for (int64_t i = 0; i < half; i++) {
      const double fraction = half > 1 ? static_cast<double>(i) / static_cast<double>(half - 1) : 0.0;
      const double period = kShortest * std::pow(kLongest / kShortest, fraction);
      const double angle = 1.0 / period * 2.0 * kPi * static_cast<double>(times[row]);
      to[i] = static_cast<float>(std::sin(angle));
      to[half + i] = static_cast<float>(std::cos(angle));
    }
  }
  return embedding;
}

}  // namespace pi05
