// Every return code of CUDA becomes an Error that says what was tried.
#pragma once

#include <cuda_runtime.h>

#include "error.h"

namespace pi05 {

// Throws Error: PI05_OUT_OF_MEMORY, PI05_DEVICE_LOST where no further call can succeed, otherwise PI05_ENGINE_FAILED.
[[noreturn]] void fail(cudaError_t result, const char* what);

inline void check(cudaError_t result, const char* what) {
  if (result != cudaSuccess) fail(result, what);
}

}  // namespace pi05
