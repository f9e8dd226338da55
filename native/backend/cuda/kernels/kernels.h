// Launchers of the CUDA kernels. Each checks its shapes and types (cudaErrorInvalidValue), launches on `stream` without
// synchronising and returns the launch status. Matrices are row-major bf16 (fp16 in SigLIP) or fp32. Every reduction
// has a fixed order, so equal inputs give equal bits.
#pragma once

#include <cuda_runtime.h>

#include "backend/ops.h"

namespace pi05::kernels {

// Upper limits of the kernels below.
constexpr int64_t kMaxNormWidth = 4096;  // row width of the norms, a multiple of 4
constexpr int64_t kMaxHeads = 32;        // rope_split: query, key and value heads together
constexpr int64_t kMaxHeadDim = 256;     // attention: a multiple of 8

// cudaSuccess when this build contains code for the current GPU, otherwise the runtime's error, e.g.
// cudaErrorNoKernelImageForDevice.
cudaError_t check_kernel_image();

// ---- fp8: e4m3 values with an fp32 scale per row; element (r, c) is values(r, c) * scale[r] ----
struct Fp8Matrix {
  Matrix values;           // (rows, cols) E4M3
  float* scale = nullptr;  // (rows)

  Fp8Matrix rows_from(int64_t first, int64_t count) const { return {values.rows_from(first, count), scale + first}; }
};
struct Fp8Tensor {
  Tensor values;                 // (n, k) E4M3
  const float* scale = nullptr;  // (n)

  Fp8Tensor rows_from(int64_t first, int64_t count) const {
    return {{static_cast<const char*>(values.data) + first * values.cols, values.dtype, count, values.cols},
            scale + first};
  }
};

// ---- norm.cu: x (rows, width) F32, width a multiple of 4 and at most kMaxNormWidth ----

// The output of a split-K GEMM: `splits` partial products whose sum, plus `bias`, is the result. The norms add them to
// the residual x before they normalise, so that no separate reduction kernel runs. At most 4 splits; 0 for none.
struct SplitKPartials {
  const float* data = nullptr;  // (splits, rows, width)
  int64_t stride = 0;           // elements between two splits
  int64_t splits = 0;
  const float* bias = nullptr;  // (width) or null
};
// View of partials (splits * rows, width) whose rows are contiguous.
inline SplitKPartials split_k_partials(const Matrix& partials, int64_t splits, const void* bias = nullptr) {
  return {static_cast<const float*>(partials.data), partials.rows / splits * partials.stride, splits,
          static_cast<const float*>(bias)};
}
// x += sum of partials + bias; out (rows, width) = norm(x)
cudaError_t layer_norm(const Matrix& x, const Affine& norm, const Matrix& out, const SplitKPartials& partials,
                       cudaStream_t stream);
cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out, const SplitKPartials& partials,
                     cudaStream_t stream);
// The same with each row quantised: its scale is its largest magnitude / 448.
cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Fp8Matrix& out, const SplitKPartials& partials,
                     cudaStream_t stream);
// x[r] += gate[time_row[r]] * sum of partials[r], then out = adaptive RMSNorm of x (see ReferenceOps). gate (times,
// width) F32 with the row stride of `modulation`; null without partials. No bias.
cudaError_t adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                              const SplitKPartials& partials, const float* gate, cudaStream_t stream);

// ---- pointwise.cu ----

// to = from, repeated until `to` is full; converts the type
cudaError_t copy(const Matrix& from, const Matrix& to, cudaStream_t stream);
// x = x * sigmoid(x)
cudaError_t silu(const Matrix& x, cudaStream_t stream);
// out = gelu(out + bias), or out + bias without `gelu`; bias (cols) of out's type or null
cudaError_t apply_epilogue(const Matrix& out, const void* bias, bool gelu, cudaStream_t stream);
// out (rows, n) = gelu(gate) * up. The columns of gate_up (rows, 2 n) alternate: `interleave` of gate, `interleave` of
// up.
cudaError_t geglu(const Matrix& gate_up, int64_t interleave, const Matrix& out, cudaStream_t stream);
// to (2 n, k): `group` rows of a (n, k), then `group` rows of b (n, k), and so on
cudaError_t interleave(const Tensor& a, const Tensor& b, int64_t group, const Matrix& to, cudaStream_t stream);
// out (rows, width) F32 = table[tokens[r]] * scale
cudaError_t embed(const int32_t* tokens, const Tensor& table, float scale, const Matrix& out, cudaStream_t stream);
// Converts from (rows, cols), contiguous, to the type of `to` (rows, at least cols); further columns become zero.
cudaError_t pad(const void* from, DType type, int64_t rows, int64_t cols, const Matrix& to, cudaStream_t stream);

// ---- quantize.cu ----

// The row of `to` that receives row r of `from`: first + r, or with `group`, where two matrices alternate in groups of
// so many rows, the corresponding row of matrix `part` (0 or 1).
struct QuantizePlacement {
  int64_t first = 0, group = 0, part = 0;
};
constexpr int64_t kMaxQuantizedCols = 16384;  // a multiple of 8
// Each row with a scale of its own, its largest magnitude / 448: to = from / scale, rounded to nearest even.
cudaError_t quantize_rows(const Matrix& from, const Fp8Matrix& to, const QuantizePlacement& placement,
                          cudaStream_t stream);

// ---- rope.cu: cos_sin (positions, head_dim / 2) is the table of cosines and sines ----

// qkv (rows, (heads + 2 * kv_heads) * head_dim): rotates q in place, rotates k into `k` and copies v into `v`, both
// (rows, kv_heads * head_dim). Row r has position first + r.
cudaError_t rope_split(const Matrix& qkv, int64_t heads, int64_t kv_heads, int64_t first, const float2* cos_sin,
                       const Matrix& k, const Matrix& v, cudaStream_t stream);

// ---- attention.cu, attention_sm90.cu, attention_f32.cu: shapes as in ReferenceOps::attention ----

// Chooses the kernel: attention_f32 for F32, attention_sm90 where supported, otherwise the sm_80 kernel, which uses
// `workspace` for partial results when it splits the keys among blocks.
cudaError_t attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape, const Matrix& out,
                      void* workspace, int64_t workspace_bytes, cudaStream_t stream);
// True on compute capability 9.0 for bf16 heads of 256 with at most 1024 keys, and for fp16 heads of 72 or 80 with at
// most 256. Also required: what attention() requires, and rows of `out` aligned to 16 bytes. attention_sm90 returns
// cudaErrorNotSupported without launching where the GPU (e.g. a MIG slice) has no room for its clusters.
bool attention_sm90_supported(const Matrix& k, const AttentionShape& shape);
cudaError_t attention_sm90(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                           const Matrix& out, cudaStream_t stream);
cudaError_t attention_f32(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                          const Matrix& out, cudaStream_t stream);

// ---- gemv.cu ----

// out (m, n) F32 = x (m, k) · weight (n, k)ᵀ + bias (n); weight and bias F32, x of any type; one warp per output
cudaError_t gemv(const Matrix& x, const Tensor& weight, const float* bias, const Matrix& out, cudaStream_t stream);

// ---- skinny_gemm.cu, skinny_gemm_sm90.cu: x (m, k) bf16 with m at most kMaxSkinnyRows and k a multiple of 32, weight
// (n, k) bf16 with n a multiple of 64 ----

constexpr int64_t kMaxSkinnyRows = 64;
bool skinny_gemm_supported(const Matrix& x, const Tensor& weight);
// Split-K: partials (splits * m, n) F32, whose sum is x · weightᵀ. k / splits must be a multiple of 32.
cudaError_t skinny_gemm_split_k(const Matrix& x, const Tensor& weight, int64_t splits, const Matrix& partials,
                                cudaStream_t stream);
// out (m, n / 2) = gelu(x · gateᵀ) * (x · upᵀ); weight is the rows of gate, then those of up
cudaError_t skinny_gemm_geglu(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream);
// q, k and v of x · weightᵀ with RoPE on q and k; row r has position first + r; head_dim a multiple of 64
cudaError_t skinny_gemm_qkv_rope(const Matrix& x, const Tensor& weight, int64_t heads, int64_t kv_heads, int64_t first,
                                 const float2* cos_sin, const Matrix& q, const Matrix& k, const Matrix& v,
                                 cudaStream_t stream);

// ---- geglu_gemm.cu: wgmma, compute capability 9.0 ----

// out (m, n) = gelu(x · gateᵀ) * (x · upᵀ), all bf16. The rows of weight (2 n, k) alternate: kInterleave of gate,
// kInterleave of up.
constexpr int64_t kInterleave = 8;
bool geglu_gemm_supported(const Matrix& x, const Tensor& weight, const Matrix& out);
cudaError_t geglu_gemm(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream);
// The same with e4m3 operands.
bool geglu_gemm_supported(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& out);
cudaError_t geglu_gemm(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& out, cudaStream_t stream);

// ---- fp8_gemm.cu: wgmma of e4m3, compute capability 9.0. x (m, k), weight (n, k), k a multiple of 16, n of 8 ----

// Whether this GPU runs the kernels of e4m3 operands: this file's and geglu_gemm.
bool fp8_gemm_supported();
// out (m, n) bf16 = x · weightᵀ
cudaError_t fp8_gemm(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& out, cudaStream_t stream);
// Split-K: partials (splits * m, n) F32 with contiguous rows. The number of splits, at most 4, is fixed by the shapes.
int64_t fp8_gemm_splits(const Fp8Matrix& x, const Fp8Tensor& weight);
cudaError_t fp8_gemm_split_k(const Fp8Matrix& x, const Fp8Tensor& weight, const Matrix& partials, cudaStream_t stream);

// ---- siglip_gemm.cu: wgmma, compute capability 9.0, a single wave of thread blocks; all bf16 or all fp16 ----

// out (m, n) = x (m, k) · weight (n, k)ᵀ + bias (n), followed by GELU with `gelu`; bias of their type or null
bool siglip_gemm_supported(const Matrix& x, const Tensor& weight);
cudaError_t siglip_gemm(const Matrix& x, const Tensor& weight, const void* bias, bool gelu, const Matrix& out,
                        cudaStream_t stream);
// Split-K without bias: partials (splits * m, n) F32. The number of splits is fixed by the shapes; 0 where the kernel
// does not support them.
int64_t siglip_gemm_splits(const Matrix& x, const Tensor& weight);
cudaError_t siglip_gemm_split_k(const Matrix& x, const Tensor& weight, const Matrix& partials, cudaStream_t stream);

// ---- flow.cu: see ReferenceOps ----

cudaError_t start(const Inputs& in, const Matrix& x, cudaStream_t stream);
cudaError_t euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x,
                       cudaStream_t stream);

// ---- resize.cu ----

// One axis of the tables in resample.h, in device memory.
struct PillowAxis {
  const int32_t *first, *length;  // (out)
  const int32_t* weight;          // (out, support)
  int32_t support, in, out;
};
struct LinearAxis {
  const int32_t *low, *high;  // (out)
  const float* weight;        // (out)
  int32_t in, out;
};
// Position of the resized image in the padded square, and the layout of an input pixel.
struct Placement {
  int32_t left, top, size, patch;   // pixels
  int32_t bytes, red, green, blue;  // bytes per pixel, byte offset of each channel
};
// scratch (image height, across.out, 3) uint8: the horizontally resized image. out: the patches of one camera, as in
// Ops::patches.
cudaError_t resize_pillow(const pi05_image& image, const PillowAxis& across, const PillowAxis& down,
                          const Placement& place, uint8_t* scratch, const Matrix& out, cudaStream_t stream);
// border: the value of the padding before it is scaled, see lerobot_border.
cudaError_t resize_lerobot(const pi05_image& image, const LinearAxis& across, const LinearAxis& down,
                           const Placement& place, float border, const Matrix& out, cudaStream_t stream);

}  // namespace pi05::kernels
