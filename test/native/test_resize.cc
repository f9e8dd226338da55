#include <algorithm>
#include <cstdlib>

#include "backend/cpu/cpu_ops.h"
#include "backend/resample.h"
#include "check.h"
#include "checkpoint/json.h"
#include "fixtures.h"

using fixtures::Golden;
using pi05::Json;

namespace {

Json index() { return fixtures::read_json("resize/index.json"); }

int64_t member(const Json& json, const char* key) { return json.find(key)->integer(); }

// The input image of the fixtures, by formula: (height, width, 3).
std::vector<uint8_t> formula_image(int64_t width, int64_t height) {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++)
      for (int64_t c = 0; c < 3; c++)
        pixels.push_back(
            static_cast<uint8_t>(7 * x + 13 * y + 29 * c + x * y / 16 + 97 * (c + 1) * ((x / 16 + y / 32) % 2)));
  return pixels;
}

pi05_image rgb(const std::vector<uint8_t>& pixels, int64_t width, int64_t height) {
  return {pixels.data(),    static_cast<int32_t>(width),        static_cast<int32_t>(height), width * 3,
          PI05_PIXELS_RGB8, static_cast<int64_t>(pixels.size())};
}

std::vector<uint8_t> pillow(const pi05_image& image) {
  std::vector<uint8_t> out(224 * 224 * 3, 99);
  fixtures::require_ok(pi05_resize_pillow(&image, 224, out.data()));
  return out;
}

std::vector<float> lerobot(const pi05_image& image, int32_t size = 224) {
  std::vector<float> out(static_cast<size_t>(size * size * 3), 99.0f);
  fixtures::require_ok(pi05_resize_lerobot(&image, size, out.data()));
  return out;
}

int64_t differing(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  int64_t count = a.size() == b.size() ? 0 : -1;
  for (size_t i = 0; count >= 0 && i < a.size(); i++) count += a[i] != b[i];
  return count;
}

}  // namespace

TEST(equals_pillow_bit_for_bit_at_every_size) {
  const Json files = index();
  CHECK(files.find("files")->array().size() == 8);
  for (const Json& file : files.find("files")->array()) {
    const std::string name = file.find("name")->string();
    const int64_t width = member(file, "width"), height = member(file, "height");
    const std::vector<uint8_t> input = formula_image(width, height);
    int64_t sum = 0;
    for (const uint8_t value : input) sum += value;
    CHECK(sum == member(*file.find("formula_checks"), "sum"));

    const Golden golden("resize/" + name + ".safetensors");
    int64_t differences = differing(pillow(rgb(input, width, height)), golden.values<uint8_t>("expected_formula"));
    if (golden.has("input"))
      differences +=
          differing(pillow(rgb(golden.values<uint8_t>("input"), width, height)), golden.values<uint8_t>("expected"));
    std::printf("  %-10s %lld differing bytes (at most 0)\n", name.c_str(), static_cast<long long>(differences));
    CHECK(differences == 0);
  }
}

TEST(places_every_size_as_openpi_does_or_rejects_it) {
  const Json json = index();
  int64_t compared = 0, rejected = 0;
  for (const char* list : {"files", "more_geometry"})
    for (const Json& size : json.find(list)->array()) {
      const int64_t width = member(size, "width"), height = member(size, "height");
      const pi05::Fit fit = pi05::fit_with_padding(width, height, 224);
      CHECK(fit.width == member(size, "resized_width") && fit.height == member(size, "resized_height"));
      CHECK(fit.left == member(size, "pad_left") && fit.top == member(size, "pad_top"));
      compared++;
      const std::vector<uint8_t> pixels(static_cast<size_t>(width * height * 3));
      const pi05_image image = rgb(pixels, width, height);
      std::vector<uint8_t> out(224 * 224 * 3);
      const pi05_status status = pi05_resize_pillow(&image, 224, out.data());
      CHECK(status == (size.find("error") ? PI05_INVALID_ARGUMENT : PI05_OK));
      rejected += status != PI05_OK;
    }
  std::printf("  %lld sizes, %lld of them rejected\n", static_cast<long long>(compared),
              static_cast<long long>(rejected));
  CHECK(compared == 44 && rejected == 4);
}

// The aspect ratio that pi05.h documents is where the truncating formula first gives 0.
TEST(rejects_exactly_the_images_whose_shorter_side_truncates_to_nothing) {
  std::vector<uint8_t> out(224 * 224 * 3);
  std::vector<float> out_float(out.size());
  const std::vector<uint8_t> pixels(1 << 16);
  const auto check = [&](int64_t width, int64_t height, int64_t size) {
    const bool valid = std::max(width, height) <= size * std::min(width, height);
    const pi05::Fit fit = pi05::fit_with_padding(width, height, size);
    CHECK(valid == (fit.width > 0 && fit.height > 0));
    if (width * height > static_cast<int64_t>(pixels.size())) return;
    const pi05_image image{pixels.data(), static_cast<int32_t>(width), static_cast<int32_t>(height),
                           width,         PI05_PIXELS_MONO8,           static_cast<int64_t>(pixels.size())};
    const pi05_status expected = valid ? PI05_OK : PI05_INVALID_ARGUMENT;
    CHECK(pi05_resize_pillow(&image, static_cast<int32_t>(size), out.data()) == expected);
    CHECK(pi05_resize_lerobot(&image, static_cast<int32_t>(size), out_float.data()) == expected);
  };
  for (const int64_t size : {1, 14, 28, 112, 223, 224})
    for (int64_t side = 1; side * size <= pi05_get_limits().max_image_side; side += side < 40 ? 1 : 37)
      for (const int64_t longer : {side * size - 1, side * size, side * size + 1}) {
        if (longer < 1) continue;
        check(longer, side, size);
        check(side, longer, size);
      }
  check(8192, 32, 224);
}

TEST(reads_every_pixel_format_and_row_step) {
  const int64_t width = 50, height = 33, step = 50 * 4 + 24;
  const std::vector<uint8_t> input = formula_image(width, height);
  const std::vector<uint8_t> expected = pillow(rgb(input, width, height));
  const std::vector<float> expected_float = lerobot(rgb(input, width, height));
  struct Format {
    pi05_pixels pixels;
    int64_t bytes;
    int64_t red, green, blue;
  };
  for (const Format f : {Format{PI05_PIXELS_RGB8, 3, 0, 1, 2}, Format{PI05_PIXELS_BGR8, 3, 2, 1, 0},
                         Format{PI05_PIXELS_RGBA8, 4, 0, 1, 2}, Format{PI05_PIXELS_BGRA8, 4, 2, 1, 0}}) {
    std::vector<uint8_t> pixels(static_cast<size_t>(step * height), 0xaa);
    for (int64_t y = 0; y < height; y++)
      for (int64_t x = 0; x < width; x++)
        for (int64_t c = 0; c < 3; c++)
          pixels[static_cast<size_t>(y * step + x * f.bytes +
                                     (c == 0   ? f.red
                                      : c == 1 ? f.green
                                               : f.blue))] = input[static_cast<size_t>((y * width + x) * 3 + c)];
    const pi05_image image{pixels.data(), 50, 33, step, f.pixels, step * height};
    CHECK(pillow(image) == expected);
    CHECK(lerobot(image) == expected_float);
  }

  std::vector<uint8_t> grey(static_cast<size_t>(step * height)), tripled;
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++) {
      grey[static_cast<size_t>(y * step + x)] = input[static_cast<size_t>((y * width + x) * 3)];
      tripled.insert(tripled.end(), 3, input[static_cast<size_t>((y * width + x) * 3)]);
    }
  const pi05_image mono{grey.data(), 50, 33, step, PI05_PIXELS_MONO8, step * height};
  CHECK(pillow(mono) == pillow(rgb(tripled, width, height)));
}

// In PyTorch interpolate([[0, 1]], 4, align_corners=False) = [0, 0.25, 0.75, 1]; and without antialias, a resize to a
// quarter is the mean of the middle two of four pixels.
TEST(interpolates_between_pixel_centres_like_pytorch) {
  const std::vector<uint8_t> two = {0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255};
  const std::vector<float> wide = lerobot(rgb(two, 2, 2), 4);
  const float expected[] = {0.0f, 0.25f, 0.75f, 1.0f};
  for (size_t x = 0; x < 4; x++) CHECK(std::abs(wide[x * 3] - expected[x]) <= 1e-6f);

  std::vector<uint8_t> sixteen;
  for (int y = 0; y < 16; y++)
    for (int x = 0; x < 16; x++) sixteen.insert(sixteen.end(), 3, static_cast<uint8_t>(x * 16));
  const std::vector<float> narrow = lerobot(rgb(sixteen, 16, 16), 4);
  for (size_t x = 0; x < 4; x++) CHECK(std::abs(narrow[x * 3] - (static_cast<float>(x) * 64 + 24) / 255.0f) <= 1e-6f);
}

// The product of a float and a half is exact in double, so only the conversion rounds.
TEST(lerobot_s_sample_positions_are_rounded_once) {
  const pi05::LinearTaps taps = pi05::linear_taps(640, 224);
  const float scale = 640.0f / 224.0f;
  for (size_t i = 0; i < 224; i++) {
    const auto position = static_cast<float>(double{scale} * (static_cast<double>(i) + 0.5) - 0.5);
    CHECK(taps.low[i] == static_cast<int32_t>(position));
    CHECK(taps.weight[i] == position - static_cast<float>(taps.low[i]));
  }
}

TEST(lerobot_does_not_change_the_model_s_size_and_pads_with_black) {
  const Golden golden("resize/224x224.safetensors");
  const std::vector<uint8_t> input = golden.values<uint8_t>("input");
  const std::vector<float> same = lerobot(rgb(input, 224, 224));
  for (size_t i = 0; i < same.size(); i++) CHECK(same[i] == static_cast<float>(input[i]) / 255.0f);

  const std::vector<uint8_t> white(100 * 50 * 3, 255);
  const std::vector<float> padded = lerobot(rgb(white, 100, 50));
  for (size_t i = 0; i < padded.size(); i++) {
    const size_t y = i / (224 * 3);
    CHECK(padded[i] == (y >= 56 && y < 168 ? 1.0f : 0.0f));
  }
}

TEST(borders_of_lerobot_before_0_5_are_minus_3) {
  const std::vector<uint8_t> white(100 * 50 * 3, 255);
  pi05::CpuOps ops(pi05::Dimensions(), 1, false);
  const int64_t side = ops.dims.vision.side(), patch = ops.dims.vision.patch;
  const pi05::Matrix out = ops.allocate(side * side, ops.dims.vision.patch_values(), pi05::DType::F32);
  std::vector<float> values(static_cast<size_t>(out.rows * out.cols));
  for (const auto& [resize, border] :
       {std::pair(PI05_RESIZE_LEROBOT, -1.0f), std::pair(PI05_RESIZE_LEROBOT_BEFORE_0_5, -3.0f)}) {
    ops.patches({rgb(white, 100, 50)}, resize, out);
    ops.download(out, values.data());
    for (size_t i = 0; i < values.size(); i++) {
      const int64_t top = static_cast<int64_t>(i) / out.cols / side * patch;  // of the patch; no patch is partly border
      CHECK(values[i] == (top >= 56 && top < 168 ? 1.0f : border));
    }
  }
}

RUN_TESTS()
