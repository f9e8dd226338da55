// Geometry and filter tables of resizing with padding, shared by all backends.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pi05/pi05.h"

namespace pi05 {

// LeRobot's padding before values are scaled from 0..1 to -1..1. Before 0.5 it was the value of black after scaling.
inline float lerobot_border(pi05_resize resize) { return resize == PI05_RESIZE_LEROBOT_BEFORE_0_5 ? -1.0f : 0.0f; }

// Size and position of an image resized into a square with padding: openpi's and LeRobot's formula. A very thin image
// gets width or height 0 and cannot be resized.
struct Fit {
  int64_t width, height, left, top;
};
Fit fit_with_padding(int64_t width, int64_t height, int64_t size);

// Byte offsets of red, green and blue in a pixel.
struct PixelLayout {
  int64_t bytes;
  std::array<int64_t, 3> channel;
};
PixelLayout layout_of(pi05_pixels pixels);

// Pillow's antialiased bilinear filter along one axis, in its 8-bit fixed point: output i is
// clip8((2^21 + sum over j < length[i] of pixel[first[i] + j] * weight[i * support + j]) >> 22).
struct PillowTaps {
  int64_t support;
  std::vector<int32_t> first, length;  // (out)
  std::vector<int32_t> weight;         // (out, support)
};
constexpr int kPillowBits = 32 - 8 - 2;
PillowTaps pillow_taps(int64_t in, int64_t out);

// PyTorch's bilinear interpolation along one axis (align_corners=False, no antialias): output i is
// (1 - weight[i]) * pixel[low[i]] + weight[i] * pixel[high[i]].
struct LinearTaps {
  std::vector<int32_t> low, high;  // (out)
  std::vector<float> weight;       // (out)
};
LinearTaps linear_taps(int64_t in, int64_t out);

}  // namespace pi05
