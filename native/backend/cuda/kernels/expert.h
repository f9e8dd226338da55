// All flow steps of the action expert in one persistent kernel, for compute capability 9.0 and the standard expert's
// sizes. Thread block clusters; weights are packed in the order in which each block streams them.
#pragma once

#include <cuda_runtime.h>

#include "backend/ops.h"

namespace pi05::kernels {

// True when the model has the sizes the kernel is compiled for, and the GPU has the shared memory and can run all
// clusters at once (blocks wait for each other, so all must be resident).
bool expert_flow_supported(const Dimensions& dims);

// Sizes of the device buffers that the caller allocates.
int64_t expert_weight_bytes(int64_t layers);
int64_t expert_exchange_bytes();

// Packs one layer's bf16 weights into `packed` (expert_weight_bytes(layers)): qkv (2560, 1024), o (1024, 2048),
// gate_up (8192, 1024): rows of gate, then of up, down (1024, 4096).
cudaError_t pack_expert(int64_t layer, const Tensor& qkv, const Tensor& o, const Tensor& gate_up, const Tensor& down,
                        void* packed, cudaStream_t stream);

struct ExpertFlow {
  const void* packed;  // expert_weight_bytes(layers), filled by pack_expert
  void* exchange;      // expert_exchange_bytes(), scratch; initialised by expert_flow
  int64_t layers, steps, prefix_tokens;
  bool frozen_rows;  // whether `in.frozen_mask` is read: without frozen rows the kernel is faster
  const float *action_in, *action_in_bias;    // (1024, 32), (1024)
  const float *action_out, *action_out_bias;  // (32, 1024), (32)
};
// x (horizon, 32) F32: the actions. velocities (steps * horizon, 32) F32. In flow step s free rows use row s of
// `modulation` (steps + 1, …), and frozen rows the last one.
cudaError_t expert_flow(const ExpertFlow& flow, const Inputs& in, const Cache& cache, const Matrix& modulation,
                        const Matrix& x, const Matrix& velocities, cudaStream_t stream);

}  // namespace pi05::kernels
