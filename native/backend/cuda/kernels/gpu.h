// Properties of the GPU that decide which kernels run. A process uses one GPU, device 0.
#pragma once

#include <cuda_runtime.h>

namespace pi05::kernels {

// Shared memory of a block on compute capability 9.0: the opt-in maximum, in bytes.
constexpr int kSm90SharedMemory = 227 * 1024;

struct Gpu {
  int multiprocessors = 0;
  int major = 0, minor = 0;         // compute capability
  int shared_memory_per_block = 0;  // bytes, opt-in maximum

  // True for GPUs that run code compiled for sm_90a (wgmma, TMA, clusters).
  bool is_sm90() const { return major == 9 && minor == 0; }
};

// Queried once. All zeros when the query fails.
inline const Gpu& gpu() {
  static const Gpu properties = [] {
    Gpu gpu;
    const auto query = [](int& value, cudaDeviceAttr attribute) {
      return cudaDeviceGetAttribute(&value, attribute, 0) == cudaSuccess;
    };
    if (query(gpu.multiprocessors, cudaDevAttrMultiProcessorCount) &&
        query(gpu.major, cudaDevAttrComputeCapabilityMajor) && query(gpu.minor, cudaDevAttrComputeCapabilityMinor) &&
        query(gpu.shared_memory_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin))
      return gpu;
    cudaGetLastError();  // clear it: the next launch must not report it
    return Gpu();
  }();
  return properties;
}

}  // namespace pi05::kernels
