#include "backend/resample.h"

#include <algorithm>
#include <cmath>

namespace pi05 {

Fit fit_with_padding(int64_t width, int64_t height, int64_t size) {
  if (width == size && height == size) return {size, size, 0, 0};
  const double side = static_cast<double>(size);
  const double ratio = std::max(static_cast<double>(width) / side, static_cast<double>(height) / side);
  const auto resized_width = static_cast<int64_t>(static_cast<double>(width) / ratio);
  const auto resized_height = static_cast<int64_t>(static_cast<double>(height) / ratio);
  return {resized_width, resized_height, (size - resized_width) / 2, (size - resized_height) / 2};
}

PixelLayout layout_of(pi05_pixels pixels) {
  switch (pixels) {
    case PI05_PIXELS_RGB8:
      return {3, {0, 1, 2}};
    case PI05_PIXELS_BGR8:
      return {3, {2, 1, 0}};
    case PI05_PIXELS_RGBA8:
      return {4, {0, 1, 2}};
    case PI05_PIXELS_BGRA8:
      return {4, {2, 1, 0}};
    case PI05_PIXELS_MONO8:
      return {1, {0, 0, 0}};
  }
  return {0, {0, 0, 0}};
}

PillowTaps pillow_taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter_scale;  // the triangle's half width is 1
  const double inverse = 1.0 / filter_scale;

  PillowTaps taps;
  taps.support = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.first.resize(static_cast<size_t>(out));
  taps.length.resize(static_cast<size_t>(out));
  taps.weight.assign(static_cast<size_t>(out * taps.support), 0);
  std::vector<double> weight(static_cast<size_t>(taps.support));
  for (int64_t i = 0; i < out; i++) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t length = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in) - first;
    double sum = 0;
    for (int64_t j = 0; j < length; j++) {
      const double distance = std::abs((static_cast<double>(j + first) - center + 0.5) * inverse);
      weight[static_cast<size_t>(j)] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += weight[static_cast<size_t>(j)];
    }
    for (int64_t j = 0; j < length; j++) {
      double w = weight[static_cast<size_t>(j)];
      if (sum != 0.0) w /= sum;
      taps.weight[static_cast<size_t>(i * taps.support + j)] = static_cast<int32_t>(0.5 + w * (1 << kPillowBits));
    }
    taps.first[static_cast<size_t>(i)] = static_cast<int32_t>(first);
    taps.length[static_cast<size_t>(i)] = static_cast<int32_t>(length);
  }
  return taps;
}

LinearTaps linear_taps(int64_t in, int64_t out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  LinearTaps taps;
  for (int64_t i = 0; i < out; i++) {
    // One rounding, as PyTorch's kernels are compiled: two move a 640 pixel wide image by 2e-6.
    const float position = std::max(std::fma(scale, static_cast<float>(i) + 0.5f, -0.5f), 0.0f);
    const int64_t low = std::min(static_cast<int64_t>(position), in - 1);
    taps.low.push_back(static_cast<int32_t>(low));
    taps.high.push_back(static_cast<int32_t>(std::min(low + 1, in - 1)));
    taps.weight.push_back(position - static_cast<float>(low));
  }
  return taps;
}

}  // namespace pi05
