#include "backend/cuda/check.h"

#include <atomic>
#include <string>

namespace pi05 {
namespace {

// After one of these, every further call of the process fails.
bool is_device_lost(cudaError_t result) {
  switch (result) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

void fail(cudaError_t result, const char* call) {
  cudaGetLastError();  // clear it: the next launch must not report it
  static std::atomic<bool> lost{false};
  if (is_device_lost(result)) lost = true;
  const std::string sentence =
      std::string(call) + " failed: " + cudaGetErrorString(result) + " (" + cudaGetErrorName(result);
  if (lost) throw Error(PI05_DEVICE_LOST, sentence + "; this process can no longer use the GPU: restart it)");
  if (result == cudaErrorMemoryAllocation)
    throw Error(PI05_OUT_OF_MEMORY, sentence + "; nvidia-smi shows which processes hold GPU memory)");
  throw Error(PI05_ENGINE_FAILED, sentence + ")");
}

}  // namespace pi05
