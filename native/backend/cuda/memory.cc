#include "backend/cuda/memory.h"

#include <string>

#include "backend/cuda/check.h"

namespace pi05 {

DeviceMemory::DeviceMemory(int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const cudaError_t result = cudaMalloc(&data_, static_cast<size_t>(bytes));
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw Error(PI05_OUT_OF_MEMORY, "cudaMalloc failed: out of memory (" + std::to_string(bytes) + " bytes wanted, " +
                                        std::to_string(free) + " of " + std::to_string(total) + " free)");
  }
  check(result, "cudaMalloc");
  cudaError_t zeroed = cudaMemset(data_, 0, static_cast<size_t>(bytes));
  if (zeroed == cudaSuccess) zeroed = cudaStreamSynchronize(nullptr);  // non-blocking streams do not wait for it
  if (zeroed != cudaSuccess) {
    cudaFree(data_);
    check(zeroed, "cudaMemset");
  }
}

DeviceMemory::~DeviceMemory() { cudaFree(data_); }

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }

Stream::~Stream() { cudaStreamDestroy(stream_); }

PinnedMemory::PinnedMemory(int64_t bytes) : bytes_(bytes) {
  void* data = nullptr;
  check(cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocDefault), "cudaHostAlloc");
  data_ = static_cast<char*>(data);
}

PinnedMemory::~PinnedMemory() { cudaFreeHost(data_); }

}  // namespace pi05
