#include "backend/cpu/resize.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/resample.h"

namespace pi05 {
namespace {

uint8_t clip8(int32_t fixed) { return static_cast<uint8_t>(std::clamp(fixed >> kPillowBits, 0, 255)); }

}  // namespace

void resize_pillow(ThreadPool& pool, const pi05_image& image, int64_t size, uint8_t* out) {
  const Fit fit = fit_with_padding(image.width, image.height, size);
  const PixelLayout layout = layout_of(image.pixels);
  std::memset(out, 0, static_cast<size_t>(size * size * 3));
  // An axis that keeps its length is not filtered, exactly as in Pillow.
  const PillowTaps horizontal = pillow_taps(image.width, fit.width);
  const PillowTaps vertical = pillow_taps(image.height, fit.height);

  std::vector<uint8_t> rows(static_cast<size_t>(image.height * fit.width * 3));
  pool.run(image.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; y++) {
      const uint8_t* row = image.data + y * image.step;
      uint8_t* to = rows.data() + y * fit.width * 3;
      for (int64_t x = 0; x < fit.width; x++) {
        if (fit.width == image.width) {
          for (size_t c = 0; c < 3; c++) *to++ = row[x * layout.bytes + layout.channel[c]];
          continue;
        }
        const int32_t* weight = &horizontal.weight[static_cast<size_t>(x * horizontal.support)];
        const uint8_t* from = row + horizontal.first[static_cast<size_t>(x)] * layout.bytes;
        int32_t sum[3] = {1 << (kPillowBits - 1), 1 << (kPillowBits - 1), 1 << (kPillowBits - 1)};
        for (int64_t j = 0; j < horizontal.length[static_cast<size_t>(x)]; j++, from += layout.bytes)
          for (size_t c = 0; c < 3; c++) sum[c] += from[layout.channel[c]] * weight[j];
        for (const int32_t s : sum) *to++ = clip8(s);
      }
    }
  });

  pool.run(fit.height, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sum(static_cast<size_t>(fit.width * 3));
    for (int64_t y = begin; y < end; y++) {
      uint8_t* to = out + ((fit.top + y) * size + fit.left) * 3;
      if (fit.height == image.height) {
        std::memcpy(to, rows.data() + y * fit.width * 3, sum.size());
        continue;
      }
      std::fill(sum.begin(), sum.end(), 1 << (kPillowBits - 1));
      for (int64_t j = 0; j < vertical.length[static_cast<size_t>(y)]; j++) {
        const uint8_t* from = rows.data() + (vertical.first[static_cast<size_t>(y)] + j) * fit.width * 3;
        const int32_t weight = vertical.weight[static_cast<size_t>(y * vertical.support + j)];
        for (size_t i = 0; i < sum.size(); i++) sum[i] += from[i] * weight;
      }
      for (size_t i = 0; i < sum.size(); i++) to[i] = clip8(sum[i]);
    }
  });
}

void resize_lerobot(ThreadPool& pool, const pi05_image& image, int64_t size, float border, float* out) {
  const Fit fit = fit_with_padding(image.width, image.height, size);
  const PixelLayout layout = layout_of(image.pixels);
  std::fill(out, out + size * size * 3, border);
  const LinearTaps horizontal = linear_taps(image.width, fit.width);
  const LinearTaps vertical = linear_taps(image.height, fit.height);

  pool.run(fit.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; y++) {
      const uint8_t* top = image.data + vertical.low[static_cast<size_t>(y)] * image.step;
      const uint8_t* bottom = image.data + vertical.high[static_cast<size_t>(y)] * image.step;
      const float wy = vertical.weight[static_cast<size_t>(y)];
      float* to = out + ((fit.top + y) * size + fit.left) * 3;
      for (int64_t x = 0; x < fit.width; x++) {
        const int64_t left = horizontal.low[static_cast<size_t>(x)] * layout.bytes;
        const int64_t right = horizontal.high[static_cast<size_t>(x)] * layout.bytes;
        const float wx = horizontal.weight[static_cast<size_t>(x)];
        for (const int64_t c : layout.channel) {
          const auto unit = [c](const uint8_t* pixel) { return static_cast<float>(pixel[c]) / 255.0f; };
          const float upper = (1.0f - wx) * unit(top + left) + wx * unit(top + right);
          const float lower = (1.0f - wx) * unit(bottom + left) + wx * unit(bottom + right);
          *to++ = std::clamp((1.0f - wy) * upper + wy * lower, 0.0f, 1.0f);
        }
      }
    }
  });
}

}  // namespace pi05
