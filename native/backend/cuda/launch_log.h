// Which kernels ran. Most operations have several kernels and choose by GPU, type and shape (docs/cuda.md); tests and
// the kernel benchmark check the choice here. Elsewhere the log costs one thread-local read per launch.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <string>

namespace pi05 {

// Counts, by name, the kernels that this thread launches or captures during the object's lifetime. One per thread at a
// time.
class LaunchLog {
 public:
  LaunchLog() { current() = this; }
  ~LaunchLog() { current() = nullptr; }
  LaunchLog(const LaunchLog&) = delete;
  LaunchLog& operator=(const LaunchLog&) = delete;

  int64_t count(const std::string& kernel) const {
    const auto found = counts_.find(kernel);
    return found == counts_.end() ? 0 : found->second;
  }
  // "attention_sm90, cublaslt": every kernel that was counted.
  std::string names() const {
    std::string all;
    for (const auto& [kernel, count] : counts_) all += (all.empty() ? "" : ", ") + kernel;
    return all;
  }
  void clear() { counts_.clear(); }

  static void add(const char* kernel) {
    if (LaunchLog* const log = current()) log->counts_[kernel]++;
  }

 private:
  static LaunchLog*& current() {
    thread_local LaunchLog* log = nullptr;
    return log;
  }

  std::map<std::string, int64_t> counts_;
};

// For launchers: counts the kernel unless the launch failed.
inline cudaError_t launched(const char* kernel, cudaError_t result) {
  if (result == cudaSuccess) LaunchLog::add(kernel);
  return result;
}

}  // namespace pi05
