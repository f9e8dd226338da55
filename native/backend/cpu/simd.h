// The inner loops of gemm.h and vecmath.h, compiled once per instruction set and selected at run time.
#pragma once

#include <cstdint>
#include <vector>

namespace pi05 {

// Arrays with one entry per DType are indexed by it.
struct Simd {
  const char* name;

  // Packed GEMM. A panel of a is (k, tile_rows), of b (k, tile_cols); rows and columns past the matrix are zero.
  int64_t tile_rows;
  int64_t tile_cols;
  int64_t a_panel_slack;  // floats written past the end of a panel of a
  void (*pack_a)(const float* a, int64_t lda, int64_t rows, int64_t k, float* panel);
  void (*pack_b_rows[3])(const void* b, int64_t ldb, int64_t first_k, int64_t cols, int64_t k, float* panel);
  void (*pack_b_cols)(const float* b, int64_t ldb, int64_t cols, int64_t k, float* panel);
  // c[rows, cols] = a_panel · b_panel + bias, or with add: c += a_panel · b_panel. bias may be null.
  void (*tile)(int64_t k, const float* a_panel, const float* b_panel, const float* bias, bool add, float* c,
               int64_t ldc, int64_t rows, int64_t cols);

  // Skinny GEMM, for few rows of a: all of a is packed, and b is read once without packing.
  int64_t skinny_step;  // k is padded to a multiple of this
  void (*skinny_pack_a[3])(const float* a, int64_t lda, int64_t m, int64_t k, float* packed);
  void (*skinny[3])(const float* packed, int64_t m, int64_t k, const void* b, int64_t ldb, int64_t first_row,
                    int64_t rows, const float* bias, float* c, int64_t ldc);

  // vecmath.h
  void (*exp_f32)(const float* x, float* y, int64_t n);
  void (*gelu_tanh)(const float* x, float* y, int64_t n);
  void (*gelu_tanh_mul)(const float* gate, const float* up, float* y, int64_t n);
  void (*softmax_row)(float* x, int64_t n);
  void (*widen[3])(const void* x, float* y, int64_t n);
};

// The instruction sets that this processor supports, from the least to the most capable.
std::vector<const Simd*> simd_supported();

// The selected instruction set: the last of simd_supported(), unless a test or benchmark called simd_use().
// Process-wide.
const Simd& simd();
void simd_use(const Simd& choice);

}  // namespace pi05
