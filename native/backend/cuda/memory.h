// Owners of GPU memory, pinned memory and streams.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

namespace pi05 {

// Row stride, in elements, of a matrix on the GPU: rows of 16-bit values start at multiples of 16 bytes, and so do rows
// of 8-bit values with `multiple` 16.
constexpr int64_t padded_stride(int64_t cols, int64_t multiple = 8) {
  return (cols + multiple - 1) / multiple * multiple;
}

// GPU memory, zeroed. Throws Error(PI05_OUT_OF_MEMORY) with the bytes wanted and the bytes free.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(int64_t bytes);
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  template <typename Value>
  Value* as() const {
    return static_cast<Value*>(data_);
  }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// A non-blocking stream: it does not synchronise with the default stream.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// Page-locked host memory, for asynchronous copies.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(int64_t bytes);
  ~PinnedMemory();
  PinnedMemory(PinnedMemory&& other) noexcept { *this = std::move(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace pi05
