// A prefix layer whose products have e4m3 operands: weights with a scale per output channel, quantised when they are
// loaded, and activations with a scale per row, quantised by the norm that makes them or by quantize_rows. The residual
// stream, sums, attention, RoPE and the product with o are those of layers.cc: with e4m3, o and the quantisation of its
// operand take as long as with bf16 (measured).
#include "backend/cuda/check.h"
#include "backend/cuda/cuda_ops.h"

namespace pi05 {

kernels::Fp8Matrix CudaOps::allocate_fp8(int64_t rows, int64_t cols) {
  return {allocate(rows, cols, DType::E4M3), static_cast<float*>(allocate(1, rows, DType::F32).data)};
}

kernels::SplitKPartials CudaOps::prefix_layer_fp8(int64_t layer, const Matrix& x, const Cache& cache,
                                                  const kernels::SplitKPartials& before) {
  const auto& d = dims.prefix;
  const PrefixLayer& placed = weights_.prefix[static_cast<size_t>(layer)];
  const CudaWeights::Fp8PrefixLayer& w = loaded_->fp8_prefix()[static_cast<size_t>(layer)];
  const int64_t q_cols = d.heads * d.head_dim, kv_cols = d.kv_heads * d.head_dim;
  const Matrix k = cache.k.rows_from(layer * cache.capacity, x.rows);
  const Matrix v = cache.v.rows_from(layer * cache.capacity, x.rows);
  const kernels::Fp8Matrix norm = prefix_fp8_.norm.rows_from(0, x.rows);

  check(kernels::rms_norm(x, placed.input_norm, norm, before, stream_), "kernel rms_norm (fp8)");
  if (layer == d.layers - 1) {  // keys and values only: the last rows of the weight
    const Matrix kv = qkv_buffer(x.rows, 2 * kv_cols, type_);
    check(kernels::fp8_gemm(norm, w.qkv.rows_from(q_cols, 2 * kv_cols), kv, stream_), "kernel fp8_gemm");
    rope_split(kv, 0, d.kv_heads, 0, k, v);
    return {};
  }
  const Matrix qkv = qkv_buffer(x.rows, q_cols + 2 * kv_cols, type_), att = prefix_.att.rows_from(0, x.rows);
  const Matrix mid = prefix_.mid.rows_from(0, x.rows);
  const kernels::Fp8Matrix quantized_mid = prefix_fp8_.mid.rows_from(0, x.rows);
  check(kernels::fp8_gemm(norm, w.qkv, qkv, stream_), "kernel fp8_gemm");
  rope_split(qkv, d.heads, d.kv_heads, 0, k, v);
  attention(qkv.cols_from(0, q_cols), k, v, {1, d.heads, d.kv_heads, d.head_dim}, att);
  linear_add(att, placed.o, nullptr, x);
  check(kernels::rms_norm(x, placed.post_norm, norm, {}, stream_), "kernel rms_norm (fp8)");
  check(kernels::geglu_gemm(norm, w.gate_up, mid, stream_), "kernel geglu_gemm (fp8)");
  check(kernels::quantize_rows(mid, quantized_mid, {}, stream_), "kernel quantize_rows");
  const int64_t splits = kernels::fp8_gemm_splits(quantized_mid, w.down);
  const Matrix partials = scratch(splits * x.rows, d.width, DType::F32);
  check(kernels::fp8_gemm_split_k(quantized_mid, w.down, partials, stream_), "kernel fp8_gemm_split_k");
  return kernels::split_k_partials(partials, splits);
}

}  // namespace pi05
