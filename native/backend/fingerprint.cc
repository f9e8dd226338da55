#include "backend/fingerprint.h"

#include <cstddef>
#include <cstring>
#include <vector>

namespace pi05 {
namespace {

// Odd constants with about as many ones as zeros: the fractional parts of the square roots of 2, 3, 5 and 7.
constexpr uint64_t kFactors[4] = {0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1};

// A sequential hash with four independent lanes, so that the multiplications overlap. Every step is a bijection of the
// lane, so blocks that differ in one word give different lanes.
class Hash {
 public:
  void add(const uint8_t* bytes, size_t count) {
    for (; count >= sizeof(lanes_); bytes += sizeof(lanes_), count -= sizeof(lanes_)) add_block(bytes);
    uint8_t last[sizeof(lanes_)] = {};
    if (count > 0) std::memcpy(last, bytes, count);
    if (count > 0) add_block(last);
  }

  uint64_t value() const {
    uint64_t sum = 0;
    for (uint64_t lane : lanes_) sum = mixed(sum ^ mixed(lane));
    return sum;
  }

 private:
  void add_block(const uint8_t* bytes) {
    uint64_t words[4];
    std::memcpy(words, bytes, sizeof(words));
    for (int i = 0; i < 4; i++) {
      const uint64_t product = (lanes_[i] ^ words[i]) * kFactors[i];
      lanes_[i] = product << 29 | product >> 35;
    }
  }

  // Every bit of the result depends on every bit of x.
  static uint64_t mixed(uint64_t x) {
    for (int i = 0; i < 3; i++) x = (x ^ x >> 32) * kFactors[i];
    return x ^ x >> 32;
  }

  uint64_t lanes_[4] = {kFactors[3], kFactors[2], kFactors[1], kFactors[0]};
};

// Writes one row as rgb8, (width, 3).
template <int kBytes, int kRed, int kGreen, int kBlue>
void to_rgb(const uint8_t* row, int64_t width, uint8_t* rgb) {
  for (int64_t x = 0; x < width; x++, row += kBytes, rgb += 3) {
    rgb[0] = row[kRed];
    rgb[1] = row[kGreen];
    rgb[2] = row[kBlue];
  }
}

void to_rgb(pi05_pixels pixels, const uint8_t* row, int64_t width, uint8_t* rgb) {
  switch (pixels) {
    case PI05_PIXELS_RGB8:
      return to_rgb<3, 0, 1, 2>(row, width, rgb);
    case PI05_PIXELS_BGR8:
      return to_rgb<3, 2, 1, 0>(row, width, rgb);
    case PI05_PIXELS_RGBA8:
      return to_rgb<4, 0, 1, 2>(row, width, rgb);
    case PI05_PIXELS_BGRA8:
      return to_rgb<4, 2, 1, 0>(row, width, rgb);
    case PI05_PIXELS_MONO8:
      return to_rgb<1, 0, 0, 0>(row, width, rgb);
  }
}

}  // namespace

pi05_fingerprint fingerprint(const pi05_image& image) {
  Hash hash;
  const int64_t size[2] = {image.width, image.height};
  hash.add(reinterpret_cast<const uint8_t*>(size), sizeof(size));
  const size_t row_bytes = static_cast<size_t>(image.width) * 3;
  std::vector<uint8_t> converted(image.pixels == PI05_PIXELS_RGB8 ? 0 : row_bytes);
  uint8_t first[3] = {};
  bool uniform = true;
  for (int64_t y = 0; y < image.height; y++) {
    const uint8_t* rgb = image.data + y * image.step;
    if (!converted.empty()) {
      to_rgb(image.pixels, rgb, image.width, converted.data());
      rgb = converted.data();
    }
    if (y == 0) std::memcpy(first, rgb, 3);
    // A row of one colour is equal to itself shifted by one pixel.
    uniform = uniform && std::memcmp(first, rgb, 3) == 0 && std::memcmp(rgb, rgb + 3, row_bytes - 3) == 0;
    hash.add(rgb, row_bytes);
  }
  return {hash.value(), uniform ? 1 : 0};
}

}  // namespace pi05
