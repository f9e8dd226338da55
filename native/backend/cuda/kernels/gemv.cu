// Matrix-vector products with fp32 weights, one for each row of x (the action output projection). Launch: grid
// (outputs / 8, rows), one warp per output.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/launch_log.h"

namespace pi05::kernels {
namespace {

constexpr int kWarps = 8;

template <typename Value>
__global__ void __launch_bounds__(32 * kWarps)
    gemv_kernel(const Value* x, int64_t x_stride, const float* weight, const float* bias, float* out,
                int64_t out_stride, int64_t outputs, int64_t inputs) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t n = blockIdx.x * static_cast<int64_t>(kWarps) + threadIdx.x / 32;
  pdl_trigger();
  pdl_wait();
  if (n >= outputs) return;
  x += blockIdx.y * x_stride;
  weight += n * inputs;
  float sum = 0;
  for (int64_t k = lane; k < inputs; k += 32) sum += widen(x[k]) * weight[k];
  for (int offset = 16; offset > 0; offset >>= 1) sum += __shfl_xor_sync(~0u, sum, offset);
  if (lane == 0) out[blockIdx.y * out_stride + n] = sum + (bias ? bias[n] : 0.0f);
}

}  // namespace

cudaError_t gemv(const Matrix& x, const Tensor& weight, const float* bias, const Matrix& out, cudaStream_t stream) {
  if (weight.dtype != DType::F32 || out.dtype != DType::F32 || weight.cols != x.cols || weight.rows != out.cols ||
      x.rows != out.rows || x.rows <= 0 || x.rows > 65535)
    return cudaErrorInvalidValue;
  const cudaError_t result = by_type(x.dtype, [&](auto* type) {
    const dim3 grid(blocks_for(out.cols, kWarps), static_cast<unsigned>(x.rows));
    return launch_pdl(gemv_kernel<std::remove_pointer_t<decltype(type)>>, grid, 32 * kWarps, 0, stream, x.data,
                      x.stride, weight.data, bias, out.data, out.stride, out.cols, x.cols);
  });
  return launched("gemv", result);
}

}  // namespace pi05::kernels
