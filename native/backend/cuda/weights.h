// The model's weights on the GPU. Sessions that load the same checkpoint share them.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <vector>

#include "backend/cuda/memory.h"
#include "backend/ops.h"

namespace pi05 {

class CudaWeights {
 public:
  // Matrices stacked by rows into one, and their biases; the bias may be empty.
  struct Fused {
    Tensor weight, bias;
  };

  // Weights already on the GPU that were loaded from the same source with the same dimensions and types, otherwise new
  // ones. vision_type: of SigLIP's and the projector's matrices. Throws Error(PI05_OUT_OF_MEMORY).
  static std::shared_ptr<const CudaWeights> load(const Weights& host, const Dimensions& dims, DType type,
                                                 DType vision_type, cudaStream_t stream);

  // All weights, with device addresses.
  const Weights& placed() const { return placed_; }
  // q, k and v of each layer, in this order
  const std::vector<Fused>& vision_qkv() const { return vision_qkv_; }
  const std::vector<Fused>& prefix_qkv() const { return prefix_qkv_; }
  const std::vector<Fused>& expert_qkv() const { return expert_qkv_; }
  // The expert's matrices as the persistent kernel streams them; empty where it is not supported.
  const DeviceMemory& packed_expert() const { return packed_expert_; }

 private:
  class Loader;

  Weights placed_;
  std::vector<Fused> vision_qkv_, prefix_qkv_, expert_qkv_;
  DeviceMemory packed_expert_;
  std::vector<DeviceMemory> memory_;
};

}  // namespace pi05
