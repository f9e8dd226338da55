// Status codes of the CUDA runtime become Errors that name the failed call.
#pragma once

#include <cuda_runtime.h>

#include "error.h"

namespace pi05 {

// Throws Error "<call> failed: <reason>" with PI05_OUT_OF_MEMORY, with PI05_DEVICE_LOST after an error that every
// further call of the process returns, otherwise with PI05_ENGINE_FAILED. `call` names the call and its purpose, as in
// "cudaMemcpyAsync (weights)", or the kernel, as in "kernel rms_norm".
[[noreturn]] void fail(cudaError_t result, const char* call);

inline void check(cudaError_t result, const char* call) {
  if (result != cudaSuccess) fail(result, call);
}

}  // namespace pi05
