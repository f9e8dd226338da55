// Every return code of CUDA becomes an Error that says what was tried.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "error.h"

namespace pi05 {

inline void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // a failed launch is not the next call's failure
  throw Error(result == cudaErrorMemoryAllocation ? PI05_OUT_OF_MEMORY : PI05_ENGINE_FAILED,
              "Expected the GPU to do " + std::string(what) + ", received " + cudaGetErrorName(result) + ": " +
                  cudaGetErrorString(result));
}

}  // namespace pi05
