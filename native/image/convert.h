// Conversion of camera encodings to rgb8.
#pragma once

#include <cstdint>

#include "pi05/camera_image.h"

namespace pi05 {

// Bytes of a row of `width` pixels, and number of rows of data for `height` rows of pixels.
int64_t row_bytes(pi05_layout layout, int64_t width);
int64_t data_rows(pi05_layout layout, int64_t height);
// Smallest side, and what both sides are multiples of.
struct SizeRule {
  int64_t least, width_multiple, height_multiple;
};
SizeRule size_rule(pi05_layout layout);

// The image has been checked. rgb: (height, width, 3).
void convert_to_rgb8(const pi05_camera_image& image, uint8_t* rgb);

}  // namespace pi05
