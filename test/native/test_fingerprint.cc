#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "check.h"
#include "fixtures.h"
#include "pi05/fingerprint.h"

namespace {

using Colour = std::array<uint8_t, 3>;

// The same (height, width) colours as the bytes of an encoding, each row followed by `padding` bytes.
struct Image {
  std::vector<uint8_t> bytes;
  pi05_image image;
};

Image encode(const std::vector<Colour>& colours, int32_t width, pi05_pixels pixels, int32_t padding = 0) {
  static std::mt19937 random;
  const bool blue_first = pixels == PI05_PIXELS_BGR8 || pixels == PI05_PIXELS_BGRA8;
  const bool alpha = pixels == PI05_PIXELS_RGBA8 || pixels == PI05_PIXELS_BGRA8;
  const auto noise = [] { return static_cast<uint8_t>(random()); };
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < colours.size(); i++) {
    for (int c = 0; c < (pixels == PI05_PIXELS_MONO8 ? 1 : 3); c++) bytes.push_back(colours[i][blue_first ? 2 - c : c]);
    if (alpha) bytes.push_back(noise());
    if ((i + 1) % static_cast<size_t>(width) == 0)
      for (int32_t p = 0; p < padding; p++) bytes.push_back(noise());
  }
  const auto height = static_cast<int32_t>(colours.size()) / width;
  const auto size = static_cast<int64_t>(bytes.size());
  Image result{std::move(bytes), {nullptr, width, height, size / height, pixels, size}};
  result.image.data = result.bytes.data();
  return result;
}

pi05_fingerprint fingerprint(const Image& image) {
  pi05_fingerprint result = {};
  fixtures::require_ok(pi05_get_fingerprint(&image.image, &result));
  return result;
}

std::vector<Colour> noise(size_t count, bool grey = false) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::vector<Colour> colours(count);
  for (Colour& colour : colours) {
    for (uint8_t& channel : colour) channel = static_cast<uint8_t>(random());
    if (grey) colour = {colour[0], colour[0], colour[0]};
  }
  return colours;
}

}  // namespace

TEST(depends_on_colours_and_not_on_the_layout) {
  const auto colours = noise(37 * 11);
  const uint64_t expected = fingerprint(encode(colours, 37, PI05_PIXELS_RGB8)).hash;
  for (pi05_pixels pixels : {PI05_PIXELS_RGB8, PI05_PIXELS_BGR8, PI05_PIXELS_RGBA8, PI05_PIXELS_BGRA8})
    for (int32_t padding : {0, 1, 7, 64}) {
      const pi05_fingerprint result = fingerprint(encode(colours, 37, pixels, padding));
      CHECK(result.hash == expected);
      CHECK(result.uniform == 0);
    }
}

TEST(grey_is_a_colour_with_equal_channels) {
  const auto grey = noise(30 * 5, true);
  CHECK(fingerprint(encode(grey, 30, PI05_PIXELS_MONO8, 3)).hash ==
        fingerprint(encode(grey, 30, PI05_PIXELS_BGR8)).hash);
}

TEST(a_change_of_any_bit_changes_the_hash) {
  auto colours = noise(13 * 7);
  const uint64_t original = fingerprint(encode(colours, 13, PI05_PIXELS_RGB8)).hash;
  for (Colour& colour : colours)
    for (uint8_t& channel : colour)
      for (int bit = 0; bit < 8; bit++) {
        channel = static_cast<uint8_t>(channel ^ 1 << bit);
        CHECK(fingerprint(encode(colours, 13, PI05_PIXELS_RGB8)).hash != original);
        channel = static_cast<uint8_t>(channel ^ 1 << bit);
      }
}

TEST(the_order_of_pixels_and_the_size_count) {
  const auto colours = noise(12 * 8);
  const uint64_t original = fingerprint(encode(colours, 12, PI05_PIXELS_RGB8)).hash;
  auto swapped = colours;
  swapped.front() = colours.back();
  swapped.back() = colours.front();
  CHECK(fingerprint(encode(swapped, 12, PI05_PIXELS_RGB8)).hash != original);
  CHECK(fingerprint(encode(colours, 8, PI05_PIXELS_RGB8)).hash != original);
  const std::vector<Colour> black(12 * 8, Colour{});
  CHECK(fingerprint(encode(black, 12, PI05_PIXELS_RGB8)).hash != fingerprint(encode(black, 8, PI05_PIXELS_RGB8)).hash);
}

TEST(an_image_is_uniform_if_no_pixel_has_another_colour) {
  const std::vector<Colour> one(9 * 6, Colour{9, 200, 3});
  for (pi05_pixels pixels : {PI05_PIXELS_RGB8, PI05_PIXELS_BGRA8, PI05_PIXELS_MONO8})
    CHECK(fingerprint(encode(one, 9, pixels, 5)).uniform == 1);
  for (size_t i = 0; i < one.size(); i++) {
    auto other = one;
    other[i][2] ^= 1;
    CHECK(fingerprint(encode(other, 9, PI05_PIXELS_RGB8, 2)).uniform == 0);
  }
  CHECK(fingerprint(encode({Colour{1, 2, 3}}, 1, PI05_PIXELS_RGB8)).uniform == 1);
}

TEST(an_image_that_does_not_contain_its_rows_is_rejected) {
  Image image = encode(noise(20), 5, PI05_PIXELS_RGB8);
  image.image.bytes -= 1;
  pi05_fingerprint result = {};
  CHECK(pi05_get_fingerprint(&image.image, &result) == PI05_INVALID_ARGUMENT);
  image.image.bytes += 1;
  image.image.step -= 1;
  CHECK(pi05_get_fingerprint(&image.image, &result) == PI05_INVALID_ARGUMENT);
}

RUN_TESTS()
