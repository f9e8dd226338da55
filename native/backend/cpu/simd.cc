#include "backend/cpu/simd.h"

#include <atomic>

namespace pi05 {

const Simd& simd_generic();
#if defined(__x86_64__)
const Simd& simd_avx2();
const Simd& simd_avx512();
#endif

std::vector<const Simd*> simd_supported() {
  std::vector<const Simd*> all{&simd_generic()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    all.push_back(&simd_avx2());
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
      all.push_back(&simd_avx512());
  }
#endif
  return all;
}

namespace {

std::atomic<const Simd*>& selected() {
  static std::atomic<const Simd*> choice{simd_supported().back()};
  return choice;
}

}  // namespace

const Simd& simd() { return *selected().load(std::memory_order_relaxed); }

void simd_use(const Simd& choice) { selected().store(&choice, std::memory_order_relaxed); }

}  // namespace pi05
