#include "backend/cpu/gemm.h"

#include <algorithm>
#include <memory>
#include <new>

#include "backend/cpu/simd.h"

namespace pi05 {
namespace {

constexpr int64_t kDepth = 256;             // k per pass: a panel of b is then 32 KiB
constexpr int64_t kTaskPanels = 8;          // the most panels of b that a task packs; they fit into the L2 cache
constexpr int64_t kSkinnyGroup = 16;        // columns per task of the skinny GEMM, a multiple of every SKINNY_COLS
constexpr int64_t kParallelWork = 1 << 18;  // multiplications; below, one thread is faster than waking others

// The skinny GEMM is used for at most kFewRows rows of a, and for at most kSkinnyRows if k is at least kSkinnyDepth.
// Measured on AVX-512, AVX2 and SSE2.
constexpr int64_t kFewRows = 16;
constexpr int64_t kSkinnyRows = 64;
constexpr int64_t kSkinnyDepth = 512;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

enum class Operand { A, B };

// A buffer of the calling thread for a packed operand, at least `floats` long, kept until the thread ends.
// Uninitialised.
template <Operand OPERAND>
float* pack_buffer(int64_t floats) {
  struct Free {
    void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  thread_local std::unique_ptr<float[], Free> memory;
  thread_local int64_t size = 0;
  if (size < floats) {
    memory.reset();
    size = 0;
    memory.reset(static_cast<float*>(::operator new[](static_cast<size_t>(floats) * 4, std::align_val_t{64})));
    size = floats;
  }
  return memory.get();
}

template <typename Body>
void parallel_for(ThreadPool& pool, int64_t n, int64_t work, const Body& body) {
  if (work < kParallelWork)
    body(int64_t{0}, n);
  else
    pool.run(n, body);
}

// Loops over k in passes of kDepth, which fixes the order of every sum. Each pass packs a once for all threads; then
// each task packs some panels of b and multiplies them with all of a. pack_b(first_k, k, first_col, cols, panel).
template <typename PackB>
void packed_gemm(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, int64_t n, const PackB& pack_b,
                 const float* bias, float* c, int64_t ldc) {
  const Simd& s = simd();
  const int64_t row_tiles = ceil_div(m, s.tile_rows), panels = ceil_div(n, s.tile_cols);
  const int64_t a_stride = s.tile_rows * std::min(k, kDepth) + s.a_panel_slack;
  const int64_t b_stride = s.tile_cols * std::min(k, kDepth);
  float* const packed_a = pack_buffer<Operand::A>(row_tiles * a_stride);
  const int64_t task_panels = std::clamp<int64_t>(panels / (4 * pool.size()), 1, kTaskPanels);
  for (int64_t k0 = 0; k0 == 0 || k0 < k; k0 += kDepth) {
    const int64_t depth = std::min(k - k0, kDepth), work = m * n * depth;
    parallel_for(pool, row_tiles, work, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; t++)
        s.pack_a(a + t * s.tile_rows * lda + k0, lda, std::min(m - t * s.tile_rows, s.tile_rows), depth,
                 packed_a + t * a_stride);
    });
    parallel_for(pool, ceil_div(panels, task_panels), work, [&](int64_t begin, int64_t end) {
      float* const packed_b = pack_buffer<Operand::B>(task_panels * b_stride);
      for (int64_t task = begin; task < end; task++) {
        const int64_t first = task * task_panels, last = std::min(first + task_panels, panels);
        for (int64_t j = first; j < last; j++)
          pack_b(k0, depth, j * s.tile_cols, std::min(n - j * s.tile_cols, s.tile_cols),
                 packed_b + (j - first) * b_stride);
        for (int64_t t = 0; t < row_tiles; t++)
          for (int64_t j = first; j < last; j++) {
            const int64_t row = t * s.tile_rows, col = j * s.tile_cols;
            s.tile(depth, packed_a + t * a_stride, packed_b + (j - first) * b_stride, bias ? bias + col : nullptr,
                   k0 > 0, c + row * ldc + col, ldc, std::min(m - row, s.tile_rows), std::min(n - col, s.tile_cols));
          }
      }
    });
  }
}

}  // namespace

void gemm_nt(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const void* b, DType b_type,
             int64_t ldb, int64_t n, const float* bias, float* c, int64_t ldc) {
  if (m <= 0 || n <= 0) return;
  const Simd& s = simd();
  const int type = static_cast<int>(b_type);
  const bool skinny = m <= kFewRows || (m <= kSkinnyRows && k >= kSkinnyDepth);
  if (!skinny) {
    const auto pack_b = [&](int64_t first_k, int64_t depth, int64_t col, int64_t cols, float* panel) {
      const int64_t bytes = bytes_of(b_type);
      s.pack_b_rows[type](static_cast<const char*>(b) + col * ldb * bytes, ldb, first_k, cols, depth, panel);
    };
    return packed_gemm(pool, a, lda, m, k, n, pack_b, bias, c, ldc);
  }
  float* const packed_a = pack_buffer<Operand::A>(m * ceil_div(k, s.skinny_step) * s.skinny_step);
  s.skinny_pack_a[type](a, lda, m, k, packed_a);
  parallel_for(pool, ceil_div(n, kSkinnyGroup), m * n * k, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kSkinnyGroup, last = std::min(end * kSkinnyGroup, n);
    s.skinny[type](packed_a, m, k, b, ldb, first, last - first, bias, c, ldc);
  });
}

void gemm_nn(ThreadPool& pool, const float* a, int64_t lda, int64_t m, int64_t k, const float* b, int64_t ldb,
             int64_t n, const float* bias, float* c, int64_t ldc) {
  if (m <= 0 || n <= 0) return;
  const Simd& s = simd();
  const auto pack_b = [&](int64_t first_k, int64_t depth, int64_t col, int64_t cols, float* panel) {
    s.pack_b_cols(b + first_k * ldb + col, ldb, cols, depth, panel);
  };
  packed_gemm(pool, a, lda, m, k, n, pack_b, bias, c, ldc);
}

}  // namespace pi05
