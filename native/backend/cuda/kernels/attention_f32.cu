// Attention in fp32, the reference for the fast kernels. Launch: grid (query rows, heads); the scores of a row are in
// shared memory.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kMaxKeys = 12000;  // whose scores fit into 48 KB of shared memory

__global__ void __launch_bounds__(kThreads)
    attention_f32_kernel(Matrix q, Matrix k, Matrix v, AttentionShape shape, Matrix out, int keys, float scale) {
  extern __shared__ float score[];  // (keys)
  const int dim = static_cast<int>(shape.head_dim), thread = static_cast<int>(threadIdx.x);
  const int64_t row = blockIdx.x, head = blockIdx.y, kv = head * shape.kv_heads / shape.heads;
  const int64_t first = row / (q.rows / shape.batch) * keys;
  const float* query = static_cast<const float*>(q.data) + row * q.stride + head * dim;
  const float* key = static_cast<const float*>(k.data) + first * k.stride + kv * dim;
  const float* value = static_cast<const float*>(v.data) + first * v.stride + kv * dim;

  float row_max = -INFINITY;
  for (int j = 0; j < keys; j++) {
    float products = 0;
    for (int i = thread; i < dim; i += kThreads) products += query[i] * key[j * k.stride + i];
    const float dot = block_sum(products) * scale;
    if (thread == 0) score[j] = dot;
    row_max = fmaxf(row_max, dot);
  }
  __syncthreads();
  float exps = 0;
  for (int j = thread; j < keys; j += kThreads) exps += score[j] = expf(score[j] - row_max);
  const float sum = block_sum(exps);
  float* out_row = static_cast<float*>(out.data) + row * out.stride + head * dim;
  for (int i = thread; i < dim; i += kThreads) {
    float total = 0;
    for (int j = 0; j < keys; j++) total += score[j] * value[j * v.stride + i];
    out_row[i] = total / sum;
  }
}

}  // namespace

cudaError_t attention_f32(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                          const Matrix& out, cudaStream_t stream) {
  if (q.dtype != DType::F32 || k.dtype != q.dtype || v.dtype != q.dtype || out.dtype != q.dtype ||
      q.rows % shape.batch != 0 || k.rows % shape.batch != 0 || k.rows / shape.batch > kMaxKeys || q.rows == 0)
    return cudaErrorInvalidValue;
  const int keys = static_cast<int>(k.rows / shape.batch);
  const dim3 grid(static_cast<unsigned>(q.rows), static_cast<unsigned>(shape.heads));
  // A multiple of 16 bytes: the compiler reads the last scores with one vector load.
  attention_f32_kernel<<<grid, kThreads, static_cast<size_t>(keys + 3) / 4 * 16, stream>>>(
      q, k, v, shape, out, keys, 1.0f / sqrtf(static_cast<float>(shape.head_dim)));
  return cudaGetLastError();
}

}  // namespace pi05::kernels
