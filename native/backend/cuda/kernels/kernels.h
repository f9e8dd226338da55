// The launchers of all kernels. Each checks its shapes (cudaErrorInvalidValue), launches on `stream` and returns what
// the launch said. Activations are matrices of bf16 (fp16 in SigLIP) or fp32; every sum has one order.
#pragma once

#include <cuda_runtime.h>

#include "backend/ops.h"

namespace pi05::kernels {

// The largest sizes that the kernels below take.
constexpr int64_t kMostWidth = 4096;   // of a row that is normalised, a multiple of 4
constexpr int64_t kMostHeads = 32;     // of queries, keys and values together
constexpr int64_t kMostHeadDim = 256;  // a multiple of 8

// cudaSuccess where this build has code for the GPU, otherwise what looking for it gave.
cudaError_t find_code();

// ---- norm.cu: x (rows, width) F32, width a multiple of 4 and at most kMostWidth ----

// What is added to x before it is normalised: the parts of a product, each (rows, width) F32 and `step` values after
// the one before it, `count` of them: up to 4, or none; with parts, a bias (width) or null.
struct Parts {
  const float* data = nullptr;
  int64_t step = 0, count = 0;
  const float* bias = nullptr;
};
// Of sums (count * rows, width), whose rows follow one another without a gap.
inline Parts parts_of(const Matrix& sums, int64_t count, const void* bias = nullptr) {
  return {static_cast<const float*>(sums.data), sums.rows / count * sums.stride, count,
          static_cast<const float*>(bias)};
}
cudaError_t layer_norm(const Matrix& x, const Affine& norm, const Matrix& out, const Parts& parts, cudaStream_t stream);
cudaError_t rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out, const Parts& parts, cudaStream_t stream);
// What is added here is gate[time_row[r]] times the parts' sum; gate (times, width) F32, rows as far apart as
// modulation's.
cudaError_t adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                              const Parts& parts, const float* gate, cudaStream_t stream);

// ---- pointwise.cu ----

cudaError_t copy(const Matrix& from, const Matrix& to, cudaStream_t stream);
cudaError_t silu(const Matrix& x, cudaStream_t stream);
// out = gelu(out + bias) or out + bias; bias (cols) of out's type or null
cudaError_t finish(const Matrix& out, const void* bias, bool gelu, cudaStream_t stream);
// out = gelu(gate) * up, where both's columns are `turn` of gate, then `turn` of up, and so on
cudaError_t gelu_multiply(const Matrix& both, int64_t turn, const Matrix& out, cudaStream_t stream);
// to's rows: `turn` of a's, then `turn` of b's, and so on
cudaError_t interleave(const Tensor& a, const Tensor& b, int64_t turn, const Matrix& to, cudaStream_t stream);
// stream_rows[r] += gate[time_row[r]] * product[r], all F32
cudaError_t gated_add(const Matrix& product, const Matrix& gate, const int32_t* time_row, const Matrix& stream_rows,
                      cudaStream_t stream);
// out (rows, width) F32 = table[tokens[r]] * scale
cudaError_t embed(const int32_t* tokens, const Tensor& table, float scale, const Matrix& out, cudaStream_t stream);
// `to` has more columns: the rest of a row is zero. F16 widens into F32 or rounds to bf16.
cudaError_t pad(const void* from, DType type, int64_t rows, int64_t cols, const Matrix& to, cudaStream_t stream);

// ---- rope.cu: turns (positions, head_dim / 2) cosine and sine ----

cudaError_t rope(const Matrix& x, int64_t heads, int64_t first, const float2* turns, cudaStream_t stream);
// qkv (rows, (heads + 2 * kv_heads) * head_dim): q turned in place, k turned into `k`, v copied into `v`.
cudaError_t rope_split(const Matrix& qkv, int64_t heads, int64_t kv_heads, int64_t first, const float2* turns,
                       const Matrix& k, const Matrix& v, cudaStream_t stream);

// ---- attention.cu, attention_hopper.cu, attention_f32.cu ----

// `partial`: workspace for keys split among blocks. F32 matrices take the plain kernel; Hopper has one of its own.
cudaError_t attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape, const Matrix& out,
                      void* partial, int64_t partial_bytes, cudaStream_t stream);
// Whether this is a Hopper GPU and there are bf16 heads of 256 with at most 1024 keys, or fp16 ones of 72 or 80 with at
// most 256. Matrices are as attention() wants them, rows of `out` at multiples of 16 bytes. attention_hopper gives
// cudaErrorNotSupported, and has launched nothing, where what is there of the GPU has no room for its clusters.
bool attention_hopper_fits(const Matrix& k, const AttentionShape& shape);
cudaError_t attention_hopper(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                             const Matrix& out, cudaStream_t stream);
cudaError_t attention_f32(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                          const Matrix& out, cudaStream_t stream);

// ---- thin.cu ----

// out (m, n) F32 = x (m, k) · weight (n, k)ᵀ + bias; weight and bias F32, x of any type: a warp an output
cudaError_t thin_linear(const Matrix& x, const Tensor& weight, const float* bias, const Matrix& out,
                        cudaStream_t stream);

// ---- few_rows.cu, few_rows_hopper.cu: products of x (m, k) with at most kFewRows rows, k a multiple of 32, and weight
// (n, k), n of 64; bf16

constexpr int64_t kFewRows = 64;
bool few_rows_fit(const Matrix& x, const Tensor& weight);
// parts (count * m, n) F32: x · weightᵀ is their sum, each has an equal number of columns of x and weight, a multiple
// of 32
cudaError_t few_rows_parts(const Matrix& x, const Tensor& weight, int64_t count, const Matrix& parts,
                           cudaStream_t stream);
// out = gelu(x · gateᵀ) * (x · upᵀ), where weight is gate's rows, then up's
cudaError_t few_rows_gated(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream);
// q, k and v of x · weightᵀ, q and k turned; heads are multiples of 64 wide
cudaError_t few_rows_turned(const Matrix& x, const Tensor& weight, int64_t heads, int64_t kv_heads, int64_t first,
                            const float2* turns, const Matrix& q, const Matrix& k, const Matrix& v,
                            cudaStream_t stream);

// ---- gated.cu: products of Hopper's warpgroups (compute capability 9.0) ----

// out (m, n) = gelu(x · gateᵀ) * (x · upᵀ), all bf16, where weight (2 n, k) is kTurn rows of gate, then kTurn of up,
// and so on
constexpr int64_t kTurn = 8;
bool gated_product_fits(const Matrix& x, const Tensor& weight, const Matrix& out);
cudaError_t gated_product(const Matrix& x, const Tensor& weight, const Matrix& out, cudaStream_t stream);

// ---- vision_product.cu: products of Hopper's warpgroups in one round of blocks, all bf16 or all fp16 ----

// out (m, n) = x · weightᵀ + bias (n), of their type or null, after a GELU where `gelu`
bool vision_product_fits(const Matrix& x, const Tensor& weight);
cudaError_t vision_product(const Matrix& x, const Tensor& weight, const void* bias, bool gelu, const Matrix& out,
                           cudaStream_t stream);
// The same without a bias in so many parts of weight's columns, whose sum the product is: parts (count * m, n) F32.
// 0 where the kernel does not fit.
int64_t vision_product_parts(const Matrix& x, const Tensor& weight);
cudaError_t vision_product_in_parts(const Matrix& x, const Tensor& weight, const Matrix& parts, cudaStream_t stream);

// ---- flow.cu: see Ops ----

cudaError_t start(const Inputs& in, const Matrix& x, cudaStream_t stream);
cudaError_t euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x,
                       cudaStream_t stream);

// ---- resize.cu ----

// An axis of resample.h's tables on the GPU.
struct PillowAxis {
  const int32_t *first, *length, *weight;
  int32_t support, in, out;
};
struct LinearAxis {
  const int32_t *low, *high;
  const float* weight;
  int32_t in, out;
};
// Where a camera's square lies and which bytes of a pixel are its colours.
struct Placement {
  int32_t left, top, size, patch;
  int32_t bytes, red, green, blue;
};
// narrow: scratch (height, fit width, 3) uint8. out: the camera's patches.
cudaError_t resize_pillow(const pi05_image& image, const PillowAxis& across, const PillowAxis& down,
                          const Placement& place, uint8_t* narrow, const Matrix& out, cudaStream_t stream);
cudaError_t resize_lerobot(const pi05_image& image, const LinearAxis& across, const LinearAxis& down,
                           const Placement& place, const Matrix& out, cudaStream_t stream);

}  // namespace pi05::kernels
