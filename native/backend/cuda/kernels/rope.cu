// Rotary position embedding, rotate-half: element i of a head is rotated with element i + head_dim / 2. Keys and values
// go into the KV cache. Launch: one block per row, one warp per head.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

static_assert(32 * kMaxHeads <= 1024, "threads of a block");

// Rotates the pairs (i, i + half) and (i + 1, i + 1 + half).
template <typename Value>
__device__ __forceinline__ void rotate(const Value* in, Value* out, const float2* cos_sin, int i, int half) {
  const float2 low = load2(in + i), high = load2(in + i + half);
  const float2 a = cos_sin[i], b = cos_sin[i + 1];
  store2(out + i, make_float2(low.x * a.x - high.x * a.y, low.y * b.x - high.y * b.y));
  store2(out + i + half, make_float2(high.x * a.x + low.x * a.y, high.y * b.x + low.y * b.y));
}

template <typename Value>
__global__ void __launch_bounds__(32 * kMaxHeads)
    rope_split_kernel(Value* qkv, int64_t stride, int heads, int kv_heads, int64_t first, const float2* cos_sin,
                      int half, Value* k, int64_t k_stride, Value* v, int64_t v_stride) {
  pdl_trigger();
  const int head = static_cast<int>(threadIdx.y);
  Value* in = qkv + blockIdx.x * stride + head * 2 * half;
  cos_sin += (first + blockIdx.x) * half;
  const int kv = head - heads;  // negative: a head of q; then the heads of k, then of v
  Value* out = kv < 0          ? in
               : kv < kv_heads ? k + blockIdx.x * k_stride + kv * 2 * half
                               : v + blockIdx.x * v_stride + (kv - kv_heads) * 2 * half;
  pdl_wait();
  for (int i = 2 * static_cast<int>(threadIdx.x); i < half; i += 64) {
    if (kv < kv_heads) {
      rotate(in, out, cos_sin, i, half);
    } else {
      store2(out + i, load2(in + i));
      store2(out + i + half, load2(in + i + half));
    }
  }
}

bool fits(const Matrix& x, int64_t heads) {
  return x.rows > 0 && heads <= kMaxHeads && x.cols % heads == 0 && x.cols / heads % 4 == 0 && x.stride % 2 == 0;
}

}  // namespace

cudaError_t rope_split(const Matrix& qkv, int64_t heads, int64_t kv_heads, int64_t first, const float2* cos_sin,
                       const Matrix& k, const Matrix& v, cudaStream_t stream) {
  const int64_t all_heads = heads + 2 * kv_heads;
  if (!fits(qkv, all_heads) || k.dtype != qkv.dtype || v.dtype != qkv.dtype || k.rows != qkv.rows ||
      v.rows != qkv.rows || k.cols != qkv.cols / all_heads * kv_heads || v.cols != k.cols || k.stride % 2 != 0 ||
      v.stride % 2 != 0)
    return cudaErrorInvalidValue;
  return by_type(qkv.dtype, [&](auto* type) {
    using Pointer = decltype(type);
    const dim3 block(32, static_cast<unsigned>(all_heads));
    return launch_pdl(rope_split_kernel<std::remove_pointer_t<Pointer>>, static_cast<unsigned>(qkv.rows), block, 0,
                      stream, qkv.data, qkv.stride, heads, kv_heads, first, cos_sin, qkv.cols / all_heads / 2, k.data,
                      k.stride, v.data, v.stride);
  });
}

}  // namespace pi05::kernels
