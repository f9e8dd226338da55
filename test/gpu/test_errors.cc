// Error sentences of failed CUDA calls. Needs no GPU.
#include "backend/cuda/check.h"

#include <string>

#include "check.h"

namespace {

void check_failure(cudaError_t result, const char* call, pi05_status status, const std::string& sentence) {
  try {
    pi05::check(result, call);
    CHECK(false);
  } catch (const pi05::Error& error) {
    std::printf("       %s\n", error.what());
    CHECK(error.status() == status);
    CHECK(error.what() == sentence);
  }
}

}  // namespace

TEST(success_is_no_error) { pi05::check(cudaSuccess, "cudaMemcpy (weights)"); }

TEST(a_failed_call_is_named_with_its_reason) {
  check_failure(cudaErrorInvalidValue, "kernel rms_norm", PI05_ENGINE_FAILED,
                "kernel rms_norm failed: invalid argument (cudaErrorInvalidValue)");
  check_failure(
      cudaErrorMemoryAllocation, "cudaMemcpy (weights)", PI05_OUT_OF_MEMORY,
      "cudaMemcpy (weights) failed: out of memory (cudaErrorMemoryAllocation; nvidia-smi shows which processes "
      "hold GPU memory)");
}

// Must be the last test: afterwards the process counts as having lost its GPU.
TEST(every_failure_after_a_lost_gpu_says_so) {
  check_failure(
      cudaErrorLaunchFailure, "cudaGraphLaunch (inference)", PI05_DEVICE_LOST,
      "cudaGraphLaunch (inference) failed: unspecified launch failure (cudaErrorLaunchFailure; this process can "
      "no longer use the GPU: restart it)");
  check_failure(
      cudaErrorInvalidValue, "cudaEventRecord", PI05_DEVICE_LOST,
      "cudaEventRecord failed: invalid argument (cudaErrorInvalidValue; this process can no longer use the GPU: "
      "restart it)");
}

RUN_TESTS()
