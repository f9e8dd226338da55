#include "backend/ops.h"

#include <algorithm>

namespace pi05 {

bool Shape::operator==(const Shape& other) const {
  return tokens == other.tokens && steps == other.steps && trace == other.trace &&
         std::equal(images.begin(), images.end(), other.images.begin(), other.images.end(),
                    [](const pi05_image& a, const pi05_image& b) {
                      return a.width == b.width && a.height == b.height && a.step == b.step && a.pixels == b.pixels;
                    });
}

}  // namespace pi05
