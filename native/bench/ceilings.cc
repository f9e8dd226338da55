#include "bench/ceilings.h"

#include <cstdint>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/gemm.h"

namespace pi05 {

Ceilings measure_ceilings() {
  constexpr int64_t kSide = 8192, kCopyBytes = int64_t{2} << 30;
  constexpr int kRepeats = 20;
  std::vector<uint16_t> values(kSide * kSide);
  uint32_t state = 1;
  for (uint16_t& value : values) {  // bf16 of magnitude 0.5 to 2, random signs
    state = state * 1664525 + 1013904223;
    value = static_cast<uint16_t>((state >> 16 & 0x80ff) | 0x3f00);
  }
  const auto bytes = static_cast<int64_t>(values.size() * 2);
  DeviceMemory a(bytes), b(bytes), c(bytes), from(kCopyBytes), to(kCopyBytes);
  for (const DeviceMemory* operand : {&a, &b})
    check(cudaMemcpy(operand->as<void>(), values.data(), static_cast<size_t>(bytes), cudaMemcpyHostToDevice),
          "cudaMemcpy (operand)");
  const Matrix x{a.as<void>(), DType::BF16, kSide, kSide, kSide}, out{c.as<void>(), DType::BF16, kSide, kSide, kSide};
  const Tensor weight{b.as<void>(), DType::BF16, kSide, kSide};

  Gemm gemm;
  const Stream stream;
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  const auto seconds = [&](auto work) {
    for (int i = 0; i < 3; i++) work();
    check(cudaEventRecord(begin, stream), "cudaEventRecord");
    for (int i = 0; i < kRepeats; i++) work();
    check(cudaEventRecord(end, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) / 1e3 / kRepeats;
  };
  const double product = seconds([&] { gemm.run(x, weight, {}, out, stream); });
  const double copy = seconds([&] {
    check(cudaMemcpyAsync(to.as<void>(), from.as<void>(), static_cast<size_t>(kCopyBytes), cudaMemcpyDeviceToDevice,
                          stream),
          "cudaMemcpyAsync (copy bandwidth)");
  });
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return {2.0 * kSide * kSide * kSide / product / 1e12, 2.0 * static_cast<double>(kCopyBytes) / copy / 1e12};
}

}  // namespace pi05
