#include "backend/cuda/cuda_backend.h"

#include <cuda_runtime.h>

#include <cstdlib>

#include "backend/cuda/check.h"
#include "backend/cuda/cublaslt.h"
#include "backend/cuda/cuda_ops.h"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"

namespace pi05 {
namespace {

constexpr int kMinMajor = 8;  // compute capability 8.0: bf16 tensor cores

}  // namespace

std::optional<Error> cuda_unavailable_reason() {
  const auto unavailable = [](const std::string& sentence) { return Error(PI05_BACKEND_UNAVAILABLE, sentence); };
  int count = 0, driver = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver) cudaDriverGetVersion(&driver);  // 0 without a driver
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
    return unavailable(std::string("Expected a GPU for the cuda backend, received none (") + reason +
                       "; use auto or cpu)");
  }
  const kernels::Gpu& gpu = kernels::gpu();
  const std::string capability = std::to_string(gpu.major) + "." + std::to_string(gpu.minor);
  if (gpu.major < kMinMajor)
    return unavailable("Expected a GPU of compute capability 8.0 or newer for the cuda backend, received " +
                       capability + " (use auto or cpu)");
  if (!cublaslt::library())
    return unavailable("Expected libcublasLt.so." + std::to_string(CUDART_VERSION / 1000) +
                       " for the cuda backend, received none (install the CUDA libraries, or the Python package "
                       "nvidia-cublas and set PI05_CUBLAS_ROOT to its directory, or use auto or cpu)");
  const cudaError_t code = kernels::check_kernel_image();
  cudaGetLastError();
  switch (code) {
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
      return unavailable("Expected the cuda backend built for a GPU of compute capability " + capability +
                         ", received a build for others (add it to PI05_CUDA_ARCHS and rebuild, or use auto or cpu)");
    case cudaErrorDevicesUnavailable:
      return unavailable(
          "Expected a GPU for the cuda backend, received one in exclusive use by another process (use auto or cpu)");
    default:
      return std::nullopt;  // other errors: the first allocation reports them
  }
}

std::optional<Error> unsupported_model_reason(const Dimensions& d) {
  const auto unsupported = [](const std::string& expected, const std::string& received) {
    return Error(PI05_BACKEND_UNAVAILABLE,
                 "Expected " + expected + " for the cuda backend, received " + received + " (use auto or cpu)");
  };
  using Size = std::pair<const char*, int64_t>;
  for (const auto& [name, width] : {Size("vision.hidden", d.vision.hidden), Size("prefix.width", d.prefix.width),
                                    Size("expert.width", d.expert.width)})
    if (width % 4 != 0 || width > kernels::kMaxNormWidth)
      return unsupported(std::string(name) + " a multiple of 4 and at most " + std::to_string(kernels::kMaxNormWidth),
                         std::to_string(width));
  for (const auto& [name, dim] :
       {Size("vision.hidden / vision.heads", d.vision.head_dim()), Size("prefix.head_dim", d.prefix.head_dim)})
    if (dim % 8 != 0 || dim > kernels::kMaxHeadDim)
      return unsupported(std::string(name) + " a multiple of 8 and at most " + std::to_string(kernels::kMaxHeadDim),
                         std::to_string(dim));
  for (const auto& [name, heads] :
       {Size("prefix", d.prefix.heads + 2 * d.prefix.kv_heads), Size("expert", d.expert.heads + 2 * d.expert.kv_heads)})
    if (heads > kernels::kMaxHeads)
      return unsupported(
          "at most " + std::to_string(kernels::kMaxHeads) + " heads of queries, keys and values in " + name,
          std::to_string(heads));
  return std::nullopt;
}

namespace {

Error fp8_unavailable(const std::string& expected, const std::string& received) {
  return Error(PI05_BACKEND_UNAVAILABLE,
               "Expected " + expected + " for precision fp8, received " + received + " (use bf16)");
}

}  // namespace

std::optional<Error> fp8_unavailable_reason() {
  const kernels::Gpu& gpu = kernels::gpu();
  if (!gpu.is_sm90())
    return fp8_unavailable("a GPU of compute capability 9.0",
                           std::to_string(gpu.major) + "." + std::to_string(gpu.minor));
  if (!kernels::fp8_gemm_supported())
    return fp8_unavailable("a GPU with room for clusters of two thread blocks", "a smaller part of one");
  return std::nullopt;
}

std::optional<Error> unsupported_fp8_model_reason(const Dimensions& d) {
  using Size = std::pair<const char*, int64_t>;
  for (const auto& [name, cols] : {Size("prefix.width", d.prefix.width), Size("prefix.mlp", d.prefix.mlp)})
    if (cols % 16 != 0 || cols > kernels::kMaxQuantizedCols)
      return fp8_unavailable(
          std::string(name) + " a multiple of 16 and at most " + std::to_string(kernels::kMaxQuantizedCols),
          std::to_string(cols));
  return std::nullopt;
}

CudaPrecision cuda_precision(pi05_precision requested) {
  const char* const value = std::getenv("PI05_CUDA_PRECISION");
  const std::string name = value ? value : "";
  const bool fp8 = requested == PI05_PRECISION_FP8;
  if (name.empty() || name == "bf16") return fp8 ? CudaPrecision::FP8 : CudaPrecision::BF16;
  if (name == "fp32" && !fp8) return CudaPrecision::F32;
  throw Error(PI05_INVALID_ARGUMENT, std::string(fp8 ? "Expected bf16" : "Expected bf16 or fp32") +
                                         " in PI05_CUDA_PRECISION" + (fp8 ? " with precision fp8" : "") +
                                         ", received " + name);
}

std::unique_ptr<Ops> make_cuda_ops(const Dimensions& dimensions, CudaPrecision precision) {
  if (const std::optional<Error> reason = cuda_unavailable_reason()) throw *reason;
  if (const std::optional<Error> reason = unsupported_model_reason(dimensions)) throw *reason;
  if (precision == CudaPrecision::FP8) {
    if (const std::optional<Error> reason = fp8_unavailable_reason()) throw *reason;
    if (const std::optional<Error> reason = unsupported_fp8_model_reason(dimensions)) throw *reason;
  }
  return std::make_unique<CudaOps>(dimensions, precision);
}

void measure_stages(Ops& ops) { dynamic_cast<CudaOps&>(ops).measure_stages(); }

std::array<float, kStages> stage_times(Ops& ops) { return dynamic_cast<CudaOps&>(ops).stage_times(); }

CudaMemory cuda_memory() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {static_cast<int64_t>(total - free), static_cast<int64_t>(total)};
}

std::string cuda_device_name() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return properties.name;
}

}  // namespace pi05
