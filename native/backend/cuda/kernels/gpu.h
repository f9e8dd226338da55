// What the GPU is that kernels are chosen by. Looked at once: a process uses one GPU, the first.
#pragma once

#include <cuda_runtime.h>

namespace pi05::kernels {

struct Gpu {
  int multiprocessors = 0;
  int major = 0, minor = 0;  // compute capability
  int shared = 0;            // bytes of shared memory that a block can have

  // What code for 90a runs on: wgmma and TMA.
  bool is_hopper() const { return major == 9 && minor == 0; }
};

// All zeros where the GPU does not answer.
inline const Gpu& gpu() {
  static const Gpu known = [] {
    Gpu gpu;
    const auto ask = [](int& value, cudaDeviceAttr what) {
      return cudaDeviceGetAttribute(&value, what, 0) == cudaSuccess;
    };
    const bool answers =
        ask(gpu.multiprocessors, cudaDevAttrMultiProcessorCount) && ask(gpu.major, cudaDevAttrComputeCapabilityMajor) &&
        ask(gpu.minor, cudaDevAttrComputeCapabilityMinor) && ask(gpu.shared, cudaDevAttrMaxSharedMemoryPerBlockOptin);
    if (answers) return gpu;
    cudaGetLastError();
    return Gpu();
  }();
  return known;
}

}  // namespace pi05::kernels
