// All flow steps of the standard action expert as one persistent kernel, for Hopper: clusters, weights packed in
// the order in which each block streams them.
#pragma once

#include <cuda_runtime.h>

#include "backend/ops.h"

namespace pi05::kernels {

// Whether this GPU has the clusters and shared memory (all blocks wait for one another, so all must run at once), the
// build the code, and the model the sizes that the kernel is made for.
bool expert_flow_fits(const Dimensions& dims);

int64_t expert_weight_bytes(int64_t layers);
int64_t expert_mail_bytes();

// One layer's bf16 weights: qkv (2560, 1024), o (1024, 2048), gate_up (8192, 1024), down (1024, 4096).
cudaError_t pack_expert(int64_t layer, const Tensor& qkv, const Tensor& o, const Tensor& gate_up, const Tensor& down,
                        void* packed, cudaStream_t stream);

struct ExpertFlow {
  const void* packed;
  void* mail;  // expert_mail_bytes()
  int64_t layers, steps, prefix_tokens;
  const float *action_in, *action_in_bias, *action_out, *action_out_bias;
};
// Every row of the horizon has step s's row s of the modulation table: nothing is held.
cudaError_t expert_flow(const ExpertFlow& flow, const Inputs& in, const Cache& cache, const Matrix& modulation,
                        const Matrix& x, const Matrix& velocities, cudaStream_t stream);

}  // namespace pi05::kernels
