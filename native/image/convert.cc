#include "image/convert.h"

#include <algorithm>
#include <cstring>

namespace pi05 {
namespace {

uint8_t clip8(int32_t value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

// ITU-R BT.601 in 20-bit fixed point, with OpenCV's rounded constants (modules/imgproc/src/color_yuv): the factors of
// Y, of V in red, of U and V in green, and of U in blue.
constexpr int32_t kBits = 20, kY = 1220542, kRedV = 1673527, kGreenU = -409993, kGreenV = -852492, kBlueU = 2116026;

// The parts of red, green and blue that a pair of pixels has in common.
struct Chroma {
  int32_t red, green, blue;

  Chroma(uint8_t u, uint8_t v) {
    const int32_t du = u - 128, dv = v - 128, half = 1 << (kBits - 1);
    red = half + kRedV * dv;
    green = half + kGreenU * du + kGreenV * dv;
    blue = half + kBlueU * du;
  }

  void write(uint8_t y, uint8_t* rgb) const {
    const int32_t luma = std::max(0, y - 16) * kY;
    rgb[0] = clip8((luma + red) >> kBits);
    rgb[1] = clip8((luma + green) >> kBits);
    rgb[2] = clip8((luma + blue) >> kBits);
  }
};

// Offsets of both Y, U and V in the four bytes of two pixels.
template <int kFirst, int kSecond, int kU, int kV>
void convert_422(const pi05_camera_image& image, uint8_t* rgb) {
  for (int64_t y = 0; y < image.height; y++) {
    const uint8_t* from = image.data + y * image.step;
    for (int64_t x = 0; x < image.width; x += 2, from += 4, rgb += 6) {
      const Chroma chroma(from[kU], from[kV]);
      chroma.write(from[kFirst], rgb);
      chroma.write(from[kSecond], rgb + 3);
    }
  }
}

template <int kU, int kV>
void convert_420(const pi05_camera_image& image, uint8_t* rgb) {
  const uint8_t* plane = image.data + image.height * image.step;
  for (int64_t y = 0; y < image.height; y++) {
    const uint8_t* luma = image.data + y * image.step;
    const uint8_t* pair = plane + y / 2 * image.step;
    for (int64_t x = 0; x < image.width; x += 2, luma += 2, pair += 2, rgb += 6) {
      const Chroma chroma(pair[kU], pair[kV]);
      chroma.write(luma[0], rgb);
      chroma.write(luma[1], rgb + 3);
    }
  }
}

// Bilinear interpolation. kRedX, kRedY: the position of red in the first four pixels.
template <int kRedX, int kRedY>
void convert_bayer(const pi05_camera_image& image, uint8_t* rgb) {
  const int64_t width = image.width, height = image.height, step = image.step;
  const auto pixel = [&](int64_t x, int64_t y) { return rgb + (y * width + x) * 3; };
  for (int64_t y = 1; y < height - 1; y++) {
    const bool is_red_row = (y & 1) == kRedY;
    for (int64_t x = 1; x < width - 1; x++) {
      const uint8_t* at = image.data + y * step + x;
      uint8_t* to = pixel(x, y);
      const bool is_red_column = (x & 1) == kRedX;
      const int row = is_red_row ? 0 : 2;  // the colour of this row in addition to green
      if (is_red_row != is_red_column) {
        to[1] = at[0];
        to[row] = static_cast<uint8_t>((at[-1] + at[1] + 1) >> 1);
        to[2 - row] = static_cast<uint8_t>((at[-step] + at[step] + 1) >> 1);
      } else {
        to[row] = at[0];
        to[1] = static_cast<uint8_t>((at[-1] + at[1] + at[-step] + at[step] + 2) >> 2);
        to[2 - row] = static_cast<uint8_t>((at[-step - 1] + at[-step + 1] + at[step - 1] + at[step + 1] + 2) >> 2);
      }
    }
    std::memcpy(pixel(0, y), pixel(1, y), 3);
    std::memcpy(pixel(width - 1, y), pixel(width - 2, y), 3);
  }
  const auto row = static_cast<size_t>(width) * 3;
  std::memcpy(pixel(0, 0), pixel(0, 1), row);
  std::memcpy(pixel(0, height - 1), pixel(0, height - 2), row);
}

template <int kChannels, int kRed, int kBlue>
void convert_16(const pi05_camera_image& image, uint8_t* rgb) {
  const int high = image.big_endian ? 0 : 1;
  const auto channel = [high](const uint8_t* from) {
    return static_cast<uint8_t>(((from[high] << 8 | from[1 - high]) + 128) / 257);
  };
  for (int64_t y = 0; y < image.height; y++) {
    const uint8_t* from = image.data + y * image.step;
    for (int64_t x = 0; x < image.width; x++, from += 2 * kChannels, rgb += 3) {
      rgb[0] = channel(from + 2 * kRed);
      rgb[1] = channel(from + 2);
      rgb[2] = channel(from + 2 * kBlue);
    }
  }
}

}  // namespace

int64_t row_bytes(pi05_layout layout, int64_t width) {
  if (layout <= PI05_LAYOUT_YUYV) return 2 * width;
  if (layout <= PI05_LAYOUT_BAYER_GRBG8) return width;
  return (layout <= PI05_LAYOUT_BGR16 ? 6 : 8) * width;
}

int64_t data_rows(pi05_layout layout, int64_t height) {
  return layout == PI05_LAYOUT_NV12 || layout == PI05_LAYOUT_NV21 ? height + height / 2 : height;
}

SizeRule size_rule(pi05_layout layout) {
  if (layout <= PI05_LAYOUT_YUYV) return {1, 2, 1};
  if (layout <= PI05_LAYOUT_NV21) return {1, 2, 2};
  if (layout <= PI05_LAYOUT_BAYER_GRBG8) return {3, 1, 1};
  return {1, 1, 1};
}

void convert_to_rgb8(const pi05_camera_image& image, uint8_t* rgb) {
  switch (image.layout) {
    case PI05_LAYOUT_UYVY:
      return convert_422<1, 3, 0, 2>(image, rgb);
    case PI05_LAYOUT_YUYV:
      return convert_422<0, 2, 1, 3>(image, rgb);
    case PI05_LAYOUT_NV12:
      return convert_420<0, 1>(image, rgb);
    case PI05_LAYOUT_NV21:
      return convert_420<1, 0>(image, rgb);
    case PI05_LAYOUT_BAYER_RGGB8:
      return convert_bayer<0, 0>(image, rgb);
    case PI05_LAYOUT_BAYER_BGGR8:
      return convert_bayer<1, 1>(image, rgb);
    case PI05_LAYOUT_BAYER_GBRG8:
      return convert_bayer<0, 1>(image, rgb);
    case PI05_LAYOUT_BAYER_GRBG8:
      return convert_bayer<1, 0>(image, rgb);
    case PI05_LAYOUT_RGB16:
      return convert_16<3, 0, 2>(image, rgb);
    case PI05_LAYOUT_BGR16:
      return convert_16<3, 2, 0>(image, rgb);
    case PI05_LAYOUT_RGBA16:
      return convert_16<4, 0, 2>(image, rgb);
    case PI05_LAYOUT_BGRA16:
      return convert_16<4, 2, 0>(image, rgb);
  }
}

}  // namespace pi05
