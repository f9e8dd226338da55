// The C ABI of image_file.h.
#include "pi05/image_file.h"

#include <algorithm>
#include <cstring>

#include "image/image_file.h"
#include "session/guarded.h"
#include "session/request.h"

extern "C" pi05_status pi05_check_image_file(const uint8_t* data, int64_t bytes, pi05_image_file* out) {
  return pi05::guarded([&] {
    pi05::require(data && out, "Expected data and out, received a null pointer");
    pi05::require(bytes >= 8, "Expected the first bytes of a JPEG or PNG file, received " + std::to_string(bytes));
    const bool is_png = std::memcmp(data, "\x89PNG", 4) == 0;
    pi05::require(is_png || (data[0] == 0xff && data[1] == 0xd8), "Expected a JPEG or PNG file");
    const auto size = static_cast<size_t>(bytes);
    const pi05::ImageFile file = is_png ? pi05::check_png(data, size) : pi05::check_jpeg(data, size);
    *out = {};
    const auto limited = [](int64_t pixels) { return static_cast<int32_t>(std::min<int64_t>(pixels, INT32_MAX)); };
    out->width = limited(file.width);
    out->height = limited(file.height);
    file.damage.copy(out->damage, sizeof(out->damage) - 1);
  });
}
