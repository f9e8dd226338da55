#include "session/request.h"

#include <cmath>
#include <cstring>

#include "backend/resample.h"
#include "error.h"

namespace pi05 {
namespace {

// Whether an enum of a C caller has one of its values 0 to `last`. Read as an int, since reading any other value
// through the enum type is undefined.
template <typename Enum>
bool is_one_of(const Enum& value, int last) {
  static_assert(sizeof value == sizeof(int));
  int raw;
  std::memcpy(&raw, &value, sizeof raw);
  return raw >= 0 && raw <= last;
}

std::string number(int64_t value) { return std::to_string(value); }
std::string decimal(float value) { return std::isnan(value) ? "NaN" : std::to_string(value); }

void check_rtc(const pi05_rtc& rtc, const Checkpoint& checkpoint) {
  const int64_t horizon = checkpoint.dims.horizon;
  require(is_one_of(rtc.mode, PI05_RTC_TRAINED), "Expected an RTC mode of none, guided or trained");
  if (rtc.mode == PI05_RTC_NONE) return;
  require(rtc.previous, "Expected a previous chunk, received a null pointer");
  require(rtc.previous_rows >= 1 && rtc.previous_rows <= horizon,
          "Expected 1 to " + number(horizon) + " rows of the previous chunk, received " + number(rtc.previous_rows));
  require_range("a delay", 0, rtc.previous_rows, rtc.delay);
  if (rtc.mode == PI05_RTC_TRAINED) {
    const int64_t trained = checkpoint.rtc_trained_max_delay;
    require(trained == 0 || rtc.delay <= trained, "Expected a delay of at most " + number(trained) +
                                                      ", the longest that the checkpoint was trained with, received " +
                                                      number(rtc.delay));
    return;
  }
  require(is_one_of(rtc.schedule, PI05_RTC_ZEROS), "Expected an RTC schedule of linear, exp, ones or zeros");
  require(rtc.execution_horizon >= 1,
          "Expected an execution horizon of at least 1, received " + number(rtc.execution_horizon));
  require(
      rtc.max_weight > 0 && rtc.max_weight <= 1e6f,
      "Expected a value above 0 and at most 1e6 for the largest guidance weight, received " + decimal(rtc.max_weight));
}

void check_finite(const float* values, int64_t count, const std::string& name) {
  for (int64_t i = 0; i < count; i++)
    if (!std::isfinite(values[i]))
      throw Error(PI05_INVALID_ARGUMENT,
                  "Expected finite values for " + name + ", received " + decimal(values[i]) + " at index " + number(i));
}

}  // namespace

void require(bool holds, const std::string& sentence) {
  if (!holds) throw Error(PI05_INVALID_ARGUMENT, sentence);
}

void require_range(const char* what, int64_t least, int64_t most, int64_t received) {
  require(received >= least && received <= most, "Expected " + std::string(what) + " from " + number(least) + " to " +
                                                     number(most) + ", received " + number(received));
}

void check_image(const pi05_image& image, int64_t size, const std::string& name) {
  require(image.data, "Expected image data for " + name + ", received a null pointer");
  require(is_one_of(image.pixels, PI05_PIXELS_MONO8),
          "Expected an encoding of rgb8, bgr8, rgba8, bgra8 or mono8 for " + name);
  const std::string received = ", received " + number(image.width) + "x" + number(image.height);
  require(image.width >= 1 && image.height >= 1 && image.width <= kMaxImageSide && image.height <= kMaxImageSide,
          "Expected 1 to " + number(kMaxImageSide) + " pixels a side for " + name + received);
  const Fit fit = fit_with_padding(image.width, image.height, size);
  require(fit.width > 0 && fit.height > 0, "Expected an aspect ratio of at most " + number(size) + ":1 for " + name +
                                               received + ", whose shorter side would be resized to 0 pixels");
  const int64_t row = image.width * layout_of(image.pixels).bytes;
  require(image.step >= row,
          "Expected a step of at least " + number(row) + " bytes for " + name + ", received " + number(image.step));
  // Divided, because the product may overflow.
  require(image.bytes / image.height >= image.step, "Expected " + number(image.height) + " rows of " +
                                                        number(image.step) + " bytes for " + name + ", received " +
                                                        number(image.bytes) + " bytes");
}

Request checked_request(const pi05_request& request, const Checkpoint& checkpoint) {
  const Dimensions& d = checkpoint.dims;
  Request result;
  require(request.images, "Expected images, received a null pointer");
  for (int64_t slot = 0; slot < d.slots; slot++) {
    const pi05_image& image = request.images[slot];
    if (!image.data) continue;
    check_image(image, d.vision.image_size, "image " + number(slot));
    result.images.push_back(image);
    result.slots.push_back(slot);
  }
  require(!result.images.empty(), "Expected an image in at least one of " + number(d.slots) + " slots, received none");

  require(request.token_count >= 1 && request.token_count <= d.max_tokens,
          "Expected 1 to " + number(d.max_tokens) + " prompt tokens, received " + number(request.token_count));
  require(request.tokens, "Expected prompt tokens, received a null pointer");
  for (int64_t i = 0; i < request.token_count; i++)
    require(request.tokens[i] >= 0 && request.tokens[i] < d.prefix.vocab,
            "Expected token ids from 0 to " + number(d.prefix.vocab - 1) + ", received " + number(request.tokens[i]) +
                " at index " + number(i));
  result.tokens = request.tokens;
  result.token_count = request.token_count;

  require(request.noise, "Expected noise, received a null pointer");
  check_finite(request.noise, d.horizon * d.action_dim, "noise");
  result.noise = request.noise;
  require(request.steps >= 0 && request.steps <= kMaxSteps,
          "Expected 1 to " + number(kMaxSteps) + " flow steps, received " + number(request.steps));
  result.steps = request.steps == 0 ? d.steps : request.steps;
  check_rtc(request.rtc, checkpoint);
  if (request.rtc.mode != PI05_RTC_NONE)
    check_finite(request.rtc.previous, request.rtc.previous_rows * d.action_dim, "the previous chunk");
  result.rtc = request.rtc;
  return result;
}

}  // namespace pi05
