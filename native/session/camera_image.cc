// The C ABI of camera_image.h.
#include "pi05/camera_image.h"

#include <cstring>

#include "image/convert.h"
#include "session/guarded.h"
#include "session/request.h"

namespace pi05 {
namespace {

void check_camera_image(const pi05_camera_image& image) {
  int layout;  // read as an int, since another value is undefined as an enum
  std::memcpy(&layout, &image.layout, sizeof layout);
  require(layout >= 0 && layout <= PI05_LAYOUT_BGRA16, "Expected a known layout of the image");
  const std::string received = ", received " + std::to_string(image.width) + "x" + std::to_string(image.height);
  const SizeRule rule = size_rule(image.layout);
  require(
      image.width >= rule.least && image.height >= rule.least && image.width <= kMaxImageSide &&
          image.height <= kMaxImageSide,
      "Expected " + std::to_string(rule.least) + " to " + std::to_string(kMaxImageSide) + " pixels a side" + received);
  require(image.width % rule.width_multiple == 0 && image.height % rule.height_multiple == 0,
          "Expected an even width, and for 4:2:0 an even height" + received);
  require(image.step >= row_bytes(image.layout, image.width), "Expected a step of at least " +
                                                                  std::to_string(row_bytes(image.layout, image.width)) +
                                                                  " bytes, received " + std::to_string(image.step));
  const int64_t rows = data_rows(image.layout, image.height);
  // Divided, because the product may overflow.
  require(image.bytes / rows >= image.step, "Expected " + std::to_string(rows) + " rows of " +
                                                std::to_string(image.step) + " bytes, received " +
                                                std::to_string(image.bytes) + " bytes");
}

}  // namespace
}  // namespace pi05

extern "C" pi05_status pi05_convert_to_rgb8(const pi05_camera_image* image, uint8_t* rgb) {
  return pi05::guarded([&] {
    pi05::require(image && image->data && rgb, "Expected image, its data and rgb, received a null pointer");
    pi05::check_camera_image(*image);
    pi05::convert_to_rgb8(*image, rgb);
  });
}
