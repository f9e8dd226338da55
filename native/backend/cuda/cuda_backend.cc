#include "backend/cuda/cuda_backend.h"

#include <cuda_runtime.h>

#include <cstdlib>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/cublaslt.h"
#include "backend/cuda/cuda_ops.h"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"

namespace pi05 {
namespace {

constexpr int kOldest = 8;  // compute capability: bf16 on tensor cores

}  // namespace

std::optional<Error> cuda_unavailable_reason() {
  const auto missing = [](const std::string& sentence) { return Error(PI05_BACKEND_UNAVAILABLE, sentence); };
  int count = 0, driver = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver) cudaDriverGetVersion(&driver);  // 0 where there is none
  if (driver > 0 && driver < CUDART_VERSION) {
    const auto version = [](int number) {
      return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
    };
    cudaGetLastError();
    return Error(PI05_DRIVER_TOO_OLD, "Expected a GPU driver for CUDA " + version(CUDART_VERSION) +
                                          " or newer, received one for CUDA " + version(driver) +
                                          " (update the driver, or use cpu)");
  }
  if (result != cudaSuccess || count == 0) {
    cudaGetLastError();
    const char* const reason = result == cudaErrorInsufficientDriver && driver == 0 ? "no driver"
                               : result == cudaSuccess                              ? "no device"
                                                                                    : cudaGetErrorString(result);
    return missing(std::string("Expected a GPU for the cuda backend, received none (") + reason + "; use auto or cpu)");
  }
  const kernels::Gpu& gpu = kernels::gpu();
  const std::string capability = std::to_string(gpu.major) + "." + std::to_string(gpu.minor);
  if (gpu.major < kOldest)
    return missing("Expected a GPU of compute capability 8.0 or newer for the cuda backend, received " + capability +
                   " (use auto or cpu)");
  if (!cublaslt::library())
    return missing("Expected libcublasLt.so." + std::to_string(CUDART_VERSION / 1000) +
                   " for the cuda backend, received none (install CUDA's libraries, or the Python package "
                   "nvidia-cublas and name its folder in PI05_CUBLAS_ROOT, or use auto or cpu)");
  const cudaError_t code = kernels::check_kernel_image();
  cudaGetLastError();
  switch (code) {
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
      return missing("Expected the cuda backend built for a GPU of compute capability " + capability +
                     ", received a build for others (build with it among PI05_CUDA_ARCHS, or use auto or cpu)");
    case cudaErrorDevicesUnavailable:
      return missing("Expected a GPU for the cuda backend, received one that others have taken (use auto or cpu)");
    default:
      return std::nullopt;  // or what the first allocation will say
  }
}

std::optional<Error> unsupported_model_reason(const Dimensions& d) {
  const auto other = [](const std::string& expected, const std::string& received) {
    return Error(PI05_BACKEND_UNAVAILABLE,
                 "Expected " + expected + " for the cuda backend, received " + received + " (use auto or cpu)");
  };
  using Size = std::pair<const char*, int64_t>;
  for (const auto& [name, width] : {Size("vision.hidden", d.vision.hidden), Size("prefix.width", d.prefix.width),
                                    Size("expert.width", d.expert.width)})
    if (width % 4 != 0 || width > kernels::kMaxNormWidth)
      return other(std::string(name) + " a multiple of 4 and at most " + std::to_string(kernels::kMaxNormWidth),
                   std::to_string(width));
  for (const auto& [name, dim] :
       {Size("vision.hidden / vision.heads", d.vision.head_dim()), Size("prefix.head_dim", d.prefix.head_dim)})
    if (dim % 8 != 0 || dim > kernels::kMaxHeadDim)
      return other(std::string(name) + " a multiple of 8 and at most " + std::to_string(kernels::kMaxHeadDim),
                   std::to_string(dim));
  for (const auto& [name, heads] :
       {Size("prefix", d.prefix.heads + 2 * d.prefix.kv_heads), Size("expert", d.expert.heads + 2 * d.expert.kv_heads)})
    if (heads > kernels::kMaxHeads)
      return other("at most " + std::to_string(kernels::kMaxHeads) + " heads of queries, keys and values in " + name,
                   std::to_string(heads));
  return std::nullopt;
}

CudaPrecision cuda_precision() {
  const char* const asked = std::getenv("PI05_CUDA_PRECISION");
  const std::string name = asked ? asked : "";
  if (name.empty() || name == "bf16") return CudaPrecision::BF16;
  if (name == "fp32") return CudaPrecision::F32;
  throw Error(PI05_INVALID_ARGUMENT, "Expected bf16 or fp32 in PI05_CUDA_PRECISION, received " + name);
}

std::unique_ptr<Ops> make_cuda_ops(const Dimensions& dimensions, CudaPrecision precision) {
  if (const std::optional<Error> missing = cuda_unavailable_reason()) throw *missing;
  if (const std::optional<Error> missing = unsupported_model_reason(dimensions)) throw *missing;
  return std::make_unique<CudaOps>(dimensions, precision);
}

void measure_stages(Ops& ops) { dynamic_cast<CudaOps&>(ops).measure_stages(); }

std::array<float, kStages> stage_times(Ops& ops) { return dynamic_cast<CudaOps&>(ops).stage_times(); }

CudaMemory cuda_memory() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "a look at its memory");
  return {static_cast<int64_t>(total - free), static_cast<int64_t>(total)};
}

std::string cuda_device_name() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "a look at its name");
  return properties.name;
}

CudaCeilings measure_ceilings() {
  constexpr int64_t kSide = 8192, kCopy = int64_t{2} << 30;
  constexpr int kRepeats = 20;
  std::vector<uint16_t> values(kSide * kSide);
  uint32_t state = 1;
  for (uint16_t& value : values) {  // -2..2: random signs, exponents and mantissas
    state = state * 1664525 + 1013904223;
    value = static_cast<uint16_t>((state >> 16 & 0x80ff) | 0x3f00);
  }
  const auto bytes = static_cast<int64_t>(values.size() * 2);
  DeviceMemory a(bytes), b(bytes), c(bytes), from(kCopy), to(kCopy);
  check(cudaMemcpy(a.as<void>(), values.data(), static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "a copy");
  check(cudaMemcpy(b.as<void>(), values.data(), static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "a copy");
  const Matrix x{a.as<void>(), DType::BF16, kSide, kSide, kSide}, out{c.as<void>(), DType::BF16, kSide, kSide, kSide};
  const Tensor weight{b.as<void>(), DType::BF16, kSide, kSide};

  Gemm gemm;
  const Stream stream;
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "an event");
  check(cudaEventCreate(&end), "an event");
  const auto seconds = [&](auto work) {
    for (int i = 0; i < 3; i++) work();
    check(cudaEventRecord(begin, stream), "a timestamp");
    for (int i = 0; i < kRepeats; i++) work();
    check(cudaEventRecord(end, stream), "a timestamp");
    check(cudaEventSynchronize(end), "a measurement");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "a measurement");
    return static_cast<double>(milliseconds) / 1e3 / kRepeats;
  };
  const double product = seconds([&] { gemm.run(x, weight, {}, out, stream); });
  const double copy = seconds([&] {
    check(cudaMemcpyAsync(to.as<void>(), from.as<void>(), static_cast<size_t>(kCopy), cudaMemcpyDeviceToDevice, stream),
          "a copy");
  });
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return {2.0 * kSide * kSide * kSide / product / 1e12, 2.0 * static_cast<double>(kCopy) / copy / 1e12};
}

}  // namespace pi05
