#include "backend/cuda/input_staging.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/check.h"
#include "backend/resample.h"

namespace pi05 {
namespace {

constexpr int64_t kAlignment = 256;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

InputStaging::InputStaging(const Dimensions& dims) : dims_(dims), images_(static_cast<size_t>(dims.slots)) {
  const int64_t chunk = dims.horizon * dims.action_dim;
  int64_t bytes = 0;
  const auto reserve = [&](int64_t values) {  // of 4 bytes
    const int64_t offset = bytes;
    bytes += aligned(values * 4);
    return offset;
  };
  const int64_t noise = reserve(chunk), prev_chunk = reserve(chunk), prefix_weights = reserve(dims.horizon),
                frozen_mask = reserve(dims.horizon), guidance_weights = reserve(kMaxSteps), times = reserve(kMaxSteps),
                time_row = reserve(kMaxSteps * dims.horizon), tokens = reserve(dims.max_tokens);
  host_block_ = PinnedMemory(bytes);
  device_block_ = DeviceMemory(bytes);
  const auto* base = device_block_.as<char>();
  device_.noise = reinterpret_cast<const float*>(base + noise);
  device_.prev_chunk = reinterpret_cast<const float*>(base + prev_chunk);
  device_.prefix_weights = reinterpret_cast<const float*>(base + prefix_weights);
  device_.frozen_mask = reinterpret_cast<const float*>(base + frozen_mask);
  device_.guidance_weights = reinterpret_cast<const float*>(base + guidance_weights);
  device_.times = reinterpret_cast<const float*>(base + times);
  device_.time_row = reinterpret_cast<const int32_t*>(base + time_row);
  device_.tokens = reinterpret_cast<const int32_t*>(base + tokens);
}

const Inputs& InputStaging::stage(const Shape& shape, const Inputs& host,
                                  const std::function<void()>& before_reallocation) {
  if (shape.steps > kMaxSteps || shape.tokens > dims_.max_tokens || host.images.size() > images_.size())
    throw Error(PI05_ENGINE_FAILED, "Expected at most " + std::to_string(kMaxSteps) + " steps, " +
                                        std::to_string(dims_.max_tokens) + " tokens and " +
                                        std::to_string(images_.size()) + " images, received " +
                                        std::to_string(shape.steps) + ", " + std::to_string(shape.tokens) + " and " +
                                        std::to_string(host.images.size()));
  const auto copy = [&](const void* device, const void* source, int64_t values) {
    const int64_t offset = static_cast<const char*>(device) - device_block_.as<char>();
    std::memcpy(host_block_.data() + offset, source, static_cast<size_t>(values * 4));
  };
  copy(device_.noise, host.noise, dims_.horizon * dims_.action_dim);
  copy(device_.prev_chunk, host.prev_chunk, dims_.horizon * dims_.action_dim);
  copy(device_.prefix_weights, host.prefix_weights, dims_.horizon);
  copy(device_.frozen_mask, host.frozen_mask, dims_.horizon);
  copy(device_.guidance_weights, host.guidance_weights, shape.steps);
  copy(device_.times, host.times, shape.steps);
  copy(device_.time_row, host.time_row, shape.steps * dims_.horizon);
  copy(device_.tokens, host.tokens, shape.tokens);

  frozen_rows_ =
      std::any_of(host.frozen_mask, host.frozen_mask + dims_.horizon, [](float frozen) { return frozen != 0; });
  device_.images = host.images;
  for (size_t i = 0; i < host.images.size(); i++) stage_image(i, host.images[i], before_reallocation);
  return device_;
}

void InputStaging::stage_image(size_t index, const pi05_image& image,
                               const std::function<void()>& before_reallocation) {
  Image& slot = images_[index];
  slot.bytes = (image.height - 1) * image.step + image.width * layout_of(image.pixels).bytes;
  const Fit fit = fit_with_padding(image.width, image.height, dims_.vision.image_size);
  const int64_t scratch = image.height * fit.width * 3;
  if (slot.device.bytes() < slot.bytes) {
    before_reallocation();
    slot.host = PinnedMemory(slot.bytes);
    slot.device = DeviceMemory(slot.bytes);
  }
  if (slot.resize_scratch.bytes() < scratch) {
    before_reallocation();
    slot.resize_scratch = DeviceMemory(scratch);
  }
  axis(image.width, fit.width);
  axis(image.height, fit.height);
  std::memcpy(slot.host.data(), image.data, static_cast<size_t>(slot.bytes));
  device_.images[index].data = slot.device.as<uint8_t>();
}

void InputStaging::enqueue_copies(cudaStream_t stream) const {
  check(cudaMemcpyAsync(device_block_.as<void>(), host_block_.data(), static_cast<size_t>(host_block_.bytes()),
                        cudaMemcpyHostToDevice, stream),
        "cudaMemcpyAsync (inputs)");
  for (size_t i = 0; i < device_.images.size(); i++)
    check(cudaMemcpyAsync(images_[i].device.as<void>(), images_[i].host.data(), static_cast<size_t>(images_[i].bytes),
                          cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync (image)");
}

const InputStaging::ResizeAxis& InputStaging::axis(int64_t in, int64_t out) {
  const auto found = axes_.find({in, out});
  if (found != axes_.end()) return found->second;
  const PillowTaps pillow = pillow_taps(in, out);
  const LinearTaps linear = linear_taps(in, out);
  std::vector<int32_t> values;  // all tables, floats as their bits
  const auto append = [&](const auto& table) {
    const size_t offset = values.size();
    values.resize(offset + table.size());
    std::memcpy(values.data() + offset, table.data(), table.size() * 4);
    return offset;
  };
  const size_t first = append(pillow.first), length = append(pillow.length), weight = append(pillow.weight);
  const size_t low = append(linear.low), high = append(linear.high), fraction = append(linear.weight);
  ResizeAxis axis;
  axis.memory = DeviceMemory(static_cast<int64_t>(values.size() * sizeof(int32_t)));
  check(cudaMemcpy(axis.memory.as<void>(), values.data(), values.size() * sizeof(int32_t), cudaMemcpyHostToDevice),
        "cudaMemcpy (resize tables)");
  const auto* base = axis.memory.as<int32_t>();
  axis.pillow = {base + first,
                 base + length,
                 base + weight,
                 static_cast<int32_t>(pillow.support),
                 static_cast<int32_t>(in),
                 static_cast<int32_t>(out)};
  axis.linear = {base + low, base + high, reinterpret_cast<const float*>(base + fraction), static_cast<int32_t>(in),
                 static_cast<int32_t>(out)};
  return axes_.emplace(std::pair(in, out), std::move(axis)).first->second;
}

}  // namespace pi05
