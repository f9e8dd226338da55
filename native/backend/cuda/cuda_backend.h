// The CUDA backend as the rest of the engine sees it. Includes no CUDA header.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "backend/ops.h"
#include "error.h"

namespace pi05 {

enum class CudaPrecision {
  BF16,  // products of bf16 values, SigLIP's of fp16 ones, summed in fp32
  F32,   // fp32 throughout, no TF32: to tell rounding errors from mistakes
  FP8,   // as BF16, with e4m3 operands in the prefix's products
};

// Empty if this machine's GPU can run inferences, otherwise the reason: PI05_BACKEND_UNAVAILABLE or
// PI05_DRIVER_TOO_OLD.
std::optional<Error> cuda_unavailable_reason();
// Empty if the kernels support a model of these sizes, otherwise the reason: PI05_BACKEND_UNAVAILABLE. Needs no GPU.
std::optional<Error> unsupported_model_reason(const Dimensions& dimensions);

// The same for PI05_PRECISION_FP8, on a GPU and for a model that the two functions above accept.
std::optional<Error> fp8_unavailable_reason();
std::optional<Error> unsupported_fp8_model_reason(const Dimensions& dimensions);

// `requested`, unless the environment variable PI05_CUDA_PRECISION is fp32. Throws Error(PI05_INVALID_ARGUMENT) if that
// variable is neither bf16 nor fp32, or fp32 where PI05_PRECISION_FP8 is requested.
CudaPrecision cuda_precision(pi05_precision requested);

// Throws Error: the reasons of the functions above, PI05_OUT_OF_MEMORY with the bytes wanted and free.
std::unique_ptr<Ops> make_cuda_ops(const Dimensions& dimensions, CudaPrecision precision);

// The stages of an inference, for timing.
enum class Stage { Upload, Resize, Vision, Prefix, Flow, Download };
constexpr int kStages = 6;
constexpr const char* kStageNames[kStages] = {"upload", "resize", "siglip", "prefix", "expert", "download"};

// From now on inferences are captured with events at the ends of their stages. `ops` comes from make_cuda_ops().
void measure_stages(Ops& ops);
// Milliseconds of each Stage in the latest inference.
std::array<float, kStages> stage_times(Ops& ops);

struct CudaMemory {
  int64_t used, total;  // bytes; used by all processes
};
CudaMemory cuda_memory();
std::string cuda_device_name();

}  // namespace pi05
