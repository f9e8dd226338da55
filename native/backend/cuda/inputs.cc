// From the caller's memory to the GPU: into pinned memory of fixed address, from where a recording's first nodes copy.
#include <algorithm>
#include <cstring>

#include "backend/cuda/check.h"
#include "backend/cuda/cuda_ops.h"
#include "backend/resample.h"

namespace pi05 {
namespace {

constexpr int64_t kAlignment = 256;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <typename Value>
DeviceMemory uploaded(const std::vector<Value>& values) {
  DeviceMemory memory(static_cast<int64_t>(values.size() * sizeof(Value)));
  check(cudaMemcpy(memory.as<void>(), values.data(), values.size() * sizeof(Value), cudaMemcpyHostToDevice),
        "a copy of a resize table");
  return memory;
}

}  // namespace

// Fixed places in one block, so that one copy takes all small inputs.
void CudaOps::lay_out_inputs() {
  const int64_t values = dims.horizon * dims.action_dim;
  int64_t offset = 0;
  const auto take = [&](int64_t bytes) {
    const int64_t at = offset;
    offset += aligned(bytes);
    return at;
  };
  const int64_t noise = take(values * 4), prev_chunk = take(values * 4), prefix_weights = take(dims.horizon * 4),
                frozen_mask = take(dims.horizon * 4), guidance_weights = take(kMaxSteps * 4),
                times = take(kMaxSteps * 4), time_row = take(kMaxSteps * dims.horizon * 4),
                tokens = take(dims.max_tokens * 4);
  input_bytes_ = offset;
  host_inputs_ = PinnedMemory(offset);
  device_inputs_ = DeviceMemory(offset);
  const auto* base = device_inputs_.as<char>();
  inputs_.noise = reinterpret_cast<const float*>(base + noise);
  inputs_.prev_chunk = reinterpret_cast<const float*>(base + prev_chunk);
  inputs_.prefix_weights = reinterpret_cast<const float*>(base + prefix_weights);
  inputs_.frozen_mask = reinterpret_cast<const float*>(base + frozen_mask);
  inputs_.guidance_weights = reinterpret_cast<const float*>(base + guidance_weights);
  inputs_.times = reinterpret_cast<const float*>(base + times);
  inputs_.time_row = reinterpret_cast<const int32_t*>(base + time_row);
  inputs_.tokens = reinterpret_cast<const int32_t*>(base + tokens);
}

// A larger image than ever before moves its buffers, and with them ends every recording.
void CudaOps::fit_image(size_t index, const pi05_image& image) {
  Image& slot = images_[index];
  slot.used = (image.height - 1) * image.step + image.width * layout_of(image.pixels).bytes;
  const Fit fit = fit_with_padding(image.width, image.height, dims.vision.image_size);
  const int64_t narrow = image.height * fit.width * 3;
  if (slot.device.bytes() < slot.used) {
    forget_recordings();
    slot.host = PinnedMemory(slot.used);
    slot.device = DeviceMemory(slot.used);
  }
  if (slot.narrow.bytes() < narrow) {
    forget_recordings();
    slot.narrow = DeviceMemory(narrow);
  }
  axis(image.width, fit.width);
  axis(image.height, fit.height);
}

const CudaOps::Axis& CudaOps::axis(int64_t in, int64_t out) {
  const auto found = axes_.find({in, out});
  if (found != axes_.end()) return found->second;
  const PillowTaps pillow = pillow_taps(in, out);
  const LinearTaps linear = linear_taps(in, out);
  std::vector<int32_t> values;  // all tables, floats by their bits
  const auto append = [&](const auto& table) {
    const size_t at = values.size();
    values.resize(at + table.size());
    std::memcpy(values.data() + at, table.data(), table.size() * 4);
    return at;
  };
  const size_t first = append(pillow.first), length = append(pillow.length), weight = append(pillow.weight);
  const size_t low = append(linear.low), high = append(linear.high), share = append(linear.weight);
  Axis made;
  made.memory = uploaded(values);
  const auto* base = made.memory.as<int32_t>();
  made.pillow = {base + first,
                 base + length,
                 base + weight,
                 static_cast<int32_t>(pillow.support),
                 static_cast<int32_t>(in),
                 static_cast<int32_t>(out)};
  made.linear = {base + low, base + high, reinterpret_cast<const float*>(base + share), static_cast<int32_t>(in),
                 static_cast<int32_t>(out)};
  return axes_.emplace(std::pair(in, out), std::move(made)).first->second;
}

const Inputs& CudaOps::upload(const Shape& shape, const Inputs& host) {
  if (shape.steps > kMaxSteps || shape.tokens > dims.max_tokens || host.images.size() > images_.size())
    throw Error(PI05_ENGINE_FAILED, "Expected inputs within the model's sizes, received larger ones");
  const auto give = [&](const void* device, const void* from, int64_t count) {
    std::memcpy(host_inputs_.data() + (static_cast<const char*>(device) - device_inputs_.as<char>()), from,
                static_cast<size_t>(count * 4));
  };
  give(inputs_.noise, host.noise, dims.horizon * dims.action_dim);
  give(inputs_.prev_chunk, host.prev_chunk, dims.horizon * dims.action_dim);
  give(inputs_.prefix_weights, host.prefix_weights, dims.horizon);
  give(inputs_.frozen_mask, host.frozen_mask, dims.horizon);
  give(inputs_.guidance_weights, host.guidance_weights, shape.steps);
  give(inputs_.times, host.times, shape.steps);
  give(inputs_.time_row, host.time_row, shape.steps * dims.horizon);
  give(inputs_.tokens, host.tokens, shape.tokens);

  free_ = std::all_of(host.frozen_mask, host.frozen_mask + dims.horizon, [](float frozen) { return frozen == 0; });
  inputs_.images = host.images;
  for (size_t i = 0; i < host.images.size(); i++) {
    fit_image(i, host.images[i]);
    std::memcpy(images_[i].host.data(), host.images[i].data, static_cast<size_t>(images_[i].used));
    inputs_.images[i].data = images_[i].device.as<uint8_t>();
  }
  return inputs_;
}

void CudaOps::patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) {
  const int64_t rows = dims.vision.patches();
  for (size_t i = 0; i < images.size(); i++) {
    const pi05_image& image = images[i];
    const Fit fit = fit_with_padding(image.width, image.height, dims.vision.image_size);
    const PixelLayout layout = layout_of(image.pixels);
    const kernels::Placement place{static_cast<int32_t>(fit.left),
                                   static_cast<int32_t>(fit.top),
                                   static_cast<int32_t>(dims.vision.image_size),
                                   static_cast<int32_t>(dims.vision.patch),
                                   static_cast<int32_t>(layout.bytes),
                                   static_cast<int32_t>(layout.channel[0]),
                                   static_cast<int32_t>(layout.channel[1]),
                                   static_cast<int32_t>(layout.channel[2])};
    const Axis &across = axis(image.width, fit.width), &down = axis(image.height, fit.height);
    const Matrix to = out.rows_from(static_cast<int64_t>(i) * rows, rows);
    check(resize == PI05_RESIZE_PILLOW ? kernels::resize_pillow(image, across.pillow, down.pillow, place,
                                                                images_[i].narrow.as<uint8_t>(), to, stream_)
                                       : kernels::resize_lerobot(image, across.linear, down.linear, place, to, stream_),
          "a resize");
  }
  mark(static_cast<int>(Stage::Resize));
}

}  // namespace pi05
