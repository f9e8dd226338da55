// Linear layers and attention of the CPU backend.
#include <cmath>

#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/vecmath.h"

namespace pi05 {

void CpuOps::linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) {
  gemm_nt(pool_, row(x, 0), x.stride, x.rows, x.cols, weight.data, weight.dtype, weight.cols, weight.rows,
          bias ? static_cast<const float*>(bias->data) : nullptr, row(out, 0), out.stride);
}

void CpuOps::linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) {
  linear(x, weight, bias, out);
  for_each_row(out.rows, [&](int64_t r) { gelu_tanh(row(out, r), row(out, r), out.cols); });
}

void CpuOps::gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out) {
  const Matrix up_rows = scratch(out.rows, out.cols);
  linear(x, gate, nullptr, out);
  linear(x, up, nullptr, up_rows);
  for_each_row(out.rows, [&](int64_t r) { gelu_tanh_mul(row(out, r), row(up_rows, r), row(out, r), out.cols); });
}

void CpuOps::linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream) {
  const Matrix product = scratch(stream.rows, stream.cols);
  linear(x, weight, bias, product);
  for_each_row(stream.rows, [&](int64_t r) {
    const float* from = row(product, r);
    float* to = row(stream, r);
    for (int64_t i = 0; i < stream.cols; i++) to[i] += from[i];
  });
}

void CpuOps::linear_gated_add(const Matrix& x, const Tensor& weight, const Matrix& gate, const int32_t* time_row,
                              const Matrix& stream) {
  const Matrix product = scratch(stream.rows, stream.cols);
  linear(x, weight, nullptr, product);
  for_each_row(stream.rows, [&](int64_t r) {
    const float* from = row(product, r);
    const float* factor = row(gate, time_row[r]);
    float* to = row(stream, r);
    for (int64_t i = 0; i < stream.cols; i++) to[i] += factor[i] * from[i];
  });
}

void CpuOps::attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                       const Matrix& out) {
  const int64_t queries = q.rows / shape.batch, keys = k.rows / shape.batch, dim = shape.head_dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const auto attend = [&](const float* query, int64_t stride, int64_t rows, const float* key, const float* value,
                          float* to, int64_t to_stride) {
    const Matrix scores = scratch(rows, keys);
    gemm_nt(pool_, query, stride, rows, dim, key, DType::F32, k.stride, keys, nullptr, row(scores, 0), keys);
    for_each_row(rows, [&](int64_t r) {
      float* score = row(scores, r);
      for (int64_t i = 0; i < keys; i++) score[i] *= scale;
      softmax_row(score, keys);
    });
    gemm_nn(pool_, row(scores, 0), keys, rows, keys, value, v.stride, dim, nullptr, to, to_stride);
  };
  // With one key-value head, (n, heads * dim) can be read as (n * heads, dim): one GEMM instead of one per head.
  const bool one_gemm = shape.kv_heads == 1 && q.stride == shape.heads * dim && out.stride == q.stride;
  for (int64_t b = 0; b < shape.batch; b++) {
    const float *query = row(q, b * queries), *key = row(k, b * keys), *value = row(v, b * keys);
    float* to = row(out, b * queries);
    if (one_gemm) {
      attend(query, dim, queries * shape.heads, key, value, to, dim);
      continue;
    }
    for (int64_t h = 0; h < shape.heads; h++) {
      const int64_t kv = h * shape.kv_heads / shape.heads * dim;
      attend(query + h * dim, q.stride, queries, key + kv, value + kv, to + h * dim, out.stride);
    }
  }
}

}  // namespace pi05
