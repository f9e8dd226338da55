// What the rest of the engine knows of the CUDA backend. No CUDA header is needed to include this one.
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
  F32,   // fp32 throughout, TF32 off: for finding out what rounding does
};

// Nothing where an inference can run on a GPU here, otherwise why not: PI05_BACKEND_UNAVAILABLE, PI05_DRIVER_TOO_OLD.
std::optional<Error> cuda_unavailable_reason();
// Nothing where the kernels take a model of these sizes, otherwise why not: PI05_BACKEND_UNAVAILABLE. Needs no GPU.
std::optional<Error> unsupported_model_reason(const Dimensions& dimensions);

// The precision that the environment asks for: PI05_CUDA_PRECISION is bf16 (or unset) or fp32. Throws Error.
CudaPrecision cuda_precision();

// Throws Error: cuda_unavailable_reason(), unsupported_model_reason(), PI05_OUT_OF_MEMORY with the bytes wanted and
// free.
std::unique_ptr<Ops> make_cuda_ops(const Dimensions& dimensions, CudaPrecision precision);

// The parts of an inference between whose ends the backend can take the time.
enum class Stage { Upload, Resize, Vision, Prefix, Flow, Download };
constexpr int kStages = 6;
constexpr const char* kStageNames[kStages] = {"upload", "resize", "siglip", "prefix", "expert", "download"};

// From now on inferences are recorded with events at the ends of their stages. `ops` is make_cuda_ops'.
void measure_stages(Ops& ops);
// Milliseconds of the latest inference by Stage.
std::array<float, kStages> stage_times(Ops& ops);

struct CudaMemory {
  int64_t used, total;  // bytes of the GPU, by all who use it
};
CudaMemory cuda_memory();
std::string cuda_device_name();

struct CudaCeilings {
  double tflops;     // 8192³ product of random bf16 values
  double terabytes;  // a second, read and written by a copy of 4 GB
};
CudaCeilings measure_ceilings();

}  // namespace pi05
