#include "backend/cuda/memory.h"

#include <atomic>
#include <string>

#include "backend/cuda/check.h"

namespace pi05 {
namespace {

// After these every further call of the process fails.
bool is_loss(cudaError_t result) {
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

void fail(cudaError_t result, const char* what) {
  cudaGetLastError();  // a failed launch is not the next call's failure
  static std::atomic<bool> lost{false};
  if (is_loss(result)) lost = true;
  const std::string sentence = "Expected the GPU to do " + std::string(what) + ", received " +
                               cudaGetErrorName(result) + ": " + cudaGetErrorString(result);
  if (lost) throw Error(PI05_DEVICE_LOST, sentence + " (the GPU is lost to this process: start it anew)");
  if (result == cudaErrorMemoryAllocation)
    throw Error(PI05_OUT_OF_MEMORY, sentence + " (nvidia-smi names who holds its memory)");
  throw Error(PI05_ENGINE_FAILED, sentence);
}

DeviceMemory::DeviceMemory(int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const cudaError_t result = cudaMalloc(&data_, static_cast<size_t>(bytes));
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw Error(PI05_OUT_OF_MEMORY, "Expected " + std::to_string(bytes) + " more bytes of GPU memory, received " +
                                        std::to_string(free) + " free of " + std::to_string(total));
  }
  check(result, "an allocation");
  cudaError_t zeroed = cudaMemset(data_, 0, static_cast<size_t>(bytes));
  if (zeroed == cudaSuccess) zeroed = cudaStreamSynchronize(nullptr);  // our stream does not wait for the default one
  if (zeroed != cudaSuccess) {
    cudaFree(data_);
    check(zeroed, "an allocation");
  }
}

DeviceMemory::~DeviceMemory() { cudaFree(data_); }

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream"); }

Stream::~Stream() { cudaStreamDestroy(stream_); }

PinnedMemory::PinnedMemory(int64_t bytes) : bytes_(bytes) {
  void* data = nullptr;
  check(cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocDefault), "an allocation of pinned memory");
  data_ = static_cast<char*>(data);
}

PinnedMemory::~PinnedMemory() { cudaFreeHost(data_); }

}  // namespace pi05
