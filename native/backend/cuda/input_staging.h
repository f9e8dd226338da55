// Copies the inputs of an inference into pinned host memory, from where the first nodes of a graph copy them to device
// memory. All addresses stay the same until a larger image arrives.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/memory.h"
#include "backend/ops.h"

namespace pi05 {

class InputStaging {
 public:
  // Resize tables of one axis, in device memory, for both filters.
  struct ResizeAxis {
    DeviceMemory memory;
    kernels::PillowAxis pillow;
    kernels::LinearAxis linear;
  };

  explicit InputStaging(const Dimensions& dims);

  // Copies `host` to pinned memory; returns the device addresses. Calls `before_reallocation` before it frees a buffer
  // that captured graphs may use. Throws Error where the inputs exceed the model's sizes.
  const Inputs& stage(const Shape& shape, const Inputs& host, const std::function<void()>& before_reallocation);
  // Enqueues the copies of what was staged from pinned to device memory.
  void enqueue_copies(cudaStream_t stream) const;

  // Whether an action row is frozen. If none is, all rows of a flow step share one modulation row.
  bool frozen_rows() const { return frozen_rows_; }
  // Created on first use.
  const ResizeAxis& axis(int64_t in, int64_t out);
  // Device scratch of image `index` for its horizontally resized rows: (image height, resized width, 3).
  uint8_t* resize_scratch(size_t index) const { return images_[index].resize_scratch.as<uint8_t>(); }

 private:
  struct Image {
    PinnedMemory host;
    DeviceMemory device, resize_scratch;
    int64_t bytes = 0;  // of the staged image
  };

  void stage_image(size_t index, const pi05_image& image, const std::function<void()>& before_reallocation);

  const Dimensions dims_;
  // All inputs except the images are in one block, so that one copy transfers them.
  PinnedMemory host_block_;
  DeviceMemory device_block_;
  Inputs device_;
  bool frozen_rows_ = false;
  std::vector<Image> images_;
  std::map<std::pair<int64_t, int64_t>, ResizeAxis> axes_;  // by input and output length
};

}  // namespace pi05
