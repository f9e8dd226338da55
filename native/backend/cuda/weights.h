// The model's weights on the GPU. Sessions that load the same checkpoint share them.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <vector>

#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/memory.h"
#include "backend/ops.h"

namespace pi05 {

class CudaWeights {
 public:
  // Matrices stacked by rows into one, and their biases; the bias may be empty.
  struct Fused {
    Tensor weight, bias;
  };

  // Matrices of a prefix layer as e4m3. The last layer has qkv only.
  struct Fp8PrefixLayer {
    kernels::Fp8Tensor qkv, gate_up, down;  // gate_up: interleaved by kernels::kInterleave rows
  };
  struct Types {
    DType matrices;   // of the prefix, the expert and the embedding table
    DType vision;     // of SigLIP's and the projector's matrices
    bool fp8_prefix;  // the prefix's matrices but o are e4m3 instead
  };

  // Weights already on the GPU that were loaded from the same source with the same dimensions and types, otherwise new
  // ones. Throws Error(PI05_OUT_OF_MEMORY).
  static std::shared_ptr<const CudaWeights> load(const Weights& host, const Dimensions& dims, const Types& types,
                                                 cudaStream_t stream);

  // All weights, with device addresses; without the matrices that are e4m3.
  const Weights& placed() const { return placed_; }
  // q, k and v of each layer, in this order
  const std::vector<Fused>& vision_qkv() const { return vision_qkv_; }
  const std::vector<Fused>& prefix_qkv() const { return prefix_qkv_; }
  const std::vector<Fused>& expert_qkv() const { return expert_qkv_; }
  // Empty unless Types::fp8_prefix.
  const std::vector<Fp8PrefixLayer>& fp8_prefix() const { return fp8_prefix_; }
  // The expert's matrices as the persistent kernel streams them; empty where it is not supported.
  const DeviceMemory& packed_expert() const { return packed_expert_; }

 private:
  class Loader;

  Weights placed_;
  std::vector<Fused> vision_qkv_, prefix_qkv_, expert_qkv_;
  std::vector<Fp8PrefixLayer> fp8_prefix_;
  DeviceMemory packed_expert_;
  std::vector<DeviceMemory> memory_;
};

}  // namespace pi05
