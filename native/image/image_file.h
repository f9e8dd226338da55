// Checks of compressed image files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pi05 {

struct ImageFile {
  int64_t width = 0, height = 0;  // pixels
  std::string damage;             // a clause, empty if the image is complete
};

// `data` begins with a JPEG's or PNG's first bytes.
ImageFile check_jpeg(const uint8_t* data, size_t bytes);
ImageFile check_png(const uint8_t* data, size_t bytes);

}  // namespace pi05
