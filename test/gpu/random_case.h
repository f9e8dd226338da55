// Inputs for models without a golden case: patterned images, random tokens, approximately normal noise; the same in
// every run.
#pragma once

#include "fixtures.h"

struct RandomCase {
  static constexpr int32_t kWidth = 640, kHeight = 480;

  RandomCase(const pi05_info& info, size_t cameras, size_t token_count)
      : tokens(token_count), noise(static_cast<size_t>(info.horizon * info.action_dim)) {
    uint32_t state = 11;
    const auto next = [&] { return state = state * 1664525 + 1013904223; };
    pixels.resize(cameras);
    for (auto& camera : pixels) {
      camera.resize(kWidth * kHeight * 3);
      for (size_t i = 0; i < camera.size(); i++)
        camera[i] = static_cast<uint8_t>((i / 1920 * 3 + i % 1920 / 7 + (next() >> 27)) & 0xff);
    }
    images.resize(static_cast<size_t>(info.slots));
    for (size_t i = 0; i < cameras; i++)
      images[i] = {pixels[i].data(), kWidth, kHeight, kWidth * 3, PI05_PIXELS_RGB8, kHeight * kWidth * 3};
    for (int32_t& token : tokens) token = static_cast<int32_t>(next() >> 8) % info.vocab;
    for (float& value : noise) {  // sum of twelve uniform values
      value = -6;
      for (int i = 0; i < 12; i++) value += static_cast<float>(next() >> 8) / static_cast<float>(1 << 24);
    }
  }

  // Borrows from this object.
  pi05_request request() const { return fixtures::request_of(images, tokens, noise); }

  std::vector<std::vector<uint8_t>> pixels;
  std::vector<pi05_image> images;
  std::vector<int32_t> tokens;
  std::vector<float> noise;
};

inline double cosine(const float* a, const float* b, size_t count) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < count; i++) ab += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return ab / std::sqrt(aa * bb);
}

// The smallest cosine between corresponding rows of two chunks.
inline double smallest_cosine(const std::vector<float>& a, const std::vector<float>& b, size_t action_dim) {
  double smallest = a.size() == b.size() ? 1 : -1;
  for (size_t first = 0; smallest > 0 && first < a.size(); first += action_dim) {
    const double row = cosine(&a[first], &b[first], action_dim);
    smallest = row < smallest || std::isnan(row) ? row : smallest;
  }
  return std::isnan(smallest) ? -1 : smallest;
}
