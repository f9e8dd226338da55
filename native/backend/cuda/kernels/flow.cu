// Start and Euler steps of the flow (see ReferenceOps). Launch: one block per action row.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

__global__ void start_kernel(const float* noise, const float* prev_chunk, const float* frozen_mask, float* x,
                             int64_t stride, int cols) {
  const int64_t row = blockIdx.x;
  for (int i = static_cast<int>(threadIdx.x); i < cols; i += static_cast<int>(blockDim.x))
    x[row * stride + i] = (frozen_mask[row] != 0 ? prev_chunk : noise)[row * cols + i];
}

__global__ void euler_kernel(const float* prev_chunk, const float* prefix_weights, const float* frozen_mask,
                             const float* guidance_weight, const float* time, float dt, float* velocity,
                             int64_t velocity_stride, float* x, int64_t stride, int cols) {
  const int64_t row = blockIdx.x;
  pdl_trigger();
  pdl_wait();
  for (int i = static_cast<int>(threadIdx.x); i < cols; i += static_cast<int>(blockDim.x)) {
    float &v = velocity[row * velocity_stride + i], &value = x[row * stride + i];
    const float target = prev_chunk[row * cols + i];
    const float error = (target - (value - *time * v)) * prefix_weights[row];
    v -= *guidance_weight * error;
    value = frozen_mask[row] != 0 ? target : value + dt * v;
  }
}

}  // namespace

cudaError_t start(const Inputs& in, const Matrix& x, cudaStream_t stream) {
  if (x.dtype != DType::F32 || x.rows <= 0) return cudaErrorInvalidValue;
  start_kernel<<<static_cast<unsigned>(x.rows), 32, 0, stream>>>(
      in.noise, in.prev_chunk, in.frozen_mask, static_cast<float*>(x.data), x.stride, static_cast<int>(x.cols));
  return cudaGetLastError();
}

cudaError_t euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x,
                       cudaStream_t stream) {
  if (x.dtype != DType::F32 || velocity.dtype != DType::F32 || x.rows != velocity.rows || x.cols != velocity.cols ||
      x.rows <= 0)
    return cudaErrorInvalidValue;
  return launch_pdl(euler_kernel, static_cast<unsigned>(x.rows), 32, 0, stream, in.prev_chunk, in.prefix_weights,
                    in.frozen_mask, in.guidance_weights + step, in.times + step, -1.0 / static_cast<double>(steps),
                    velocity.data, velocity.stride, x.data, x.stride, x.cols);
}

}  // namespace pi05::kernels
