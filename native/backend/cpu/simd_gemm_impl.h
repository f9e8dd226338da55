// Inner loops of the GEMMs for one instruction set. The packed GEMM has TILE_ROWS × TILE_VECTORS accumulators, the
// skinny GEMM SKINNY_ROWS × SKINNY_COLS: as many as the vector registers hold.
#pragma once

#include "backend/cpu/simd_vector.h"

namespace pi05 {
namespace {

constexpr int64_t kTileCols = TILE_VECTORS * LANES;
constexpr int64_t kSkinnyStep = 2 * LANES;

// Transposes groups of LANES rows in registers. A store may write past its column of the panel; the store of the next k
// overwrites that part.
void pack_a(const float* a, int64_t lda, int64_t rows, int64_t k, float* panel) {
  constexpr int kGroups = (TILE_ROWS + LANES - 1) / LANES;
  int64_t p = 0;
  for (; p + LANES <= k; p += LANES) {
    Words v[kGroups][LANES];
    PI05_UNROLL
    for (int g = 0; g < kGroups; g++) {
      PI05_UNROLL
      for (int i = 0; i < LANES; i++) {
        const int row = g * LANES + i;
        v[g][i] = row < rows ? reinterpret_cast<Words>(load(a + row * lda + p)) : Words{};
      }
      transpose(v[g]);
    }
    PI05_UNROLL
    for (int q = 0; q < LANES; q++) PI05_UNROLL
    for (int g = 0; g < kGroups; g++) store(panel + (p + q) * TILE_ROWS + g * LANES, reinterpret_cast<Floats>(v[g][q]));
  }
  for (; p < k; p++)
    for (int64_t i = 0; i < TILE_ROWS; i++) panel[p * TILE_ROWS + i] = i < rows ? a[i * lda + p] : 0;
}

template <typename T>
void pack_b_rows(const void* stored, int64_t ldb, int64_t first_k, int64_t cols, int64_t k, float* panel) {
  using Stored = typename T::Stored;
  constexpr int kPerWord = 4 / sizeof(Stored);
  const Stored* b = static_cast<const Stored*>(stored) + first_k;
  int64_t p = 0;
  for (; p + LANES * kPerWord <= k; p += LANES * kPerWord)
    for (int64_t g = 0; g < TILE_VECTORS; g++) {
      Words v[LANES];
      PI05_UNROLL
      for (int i = 0; i < LANES; i++) {
        const int64_t col = g * LANES + i;
        v[i] = col < cols ? *reinterpret_cast<const UnalignedWords*>(b + col * ldb + p) : Words{};
      }
      transpose(v);
      float* out = panel + p * kTileCols + g * LANES;
      PI05_UNROLL
      for (int q = 0; q < LANES; q++) {
        if constexpr (kPerWord == 1) {
          store(out + q * kTileCols, reinterpret_cast<Floats>(v[q]));
        } else {
          store(out + 2 * q * kTileCols, T::widen(v[q] << 16));
          store(out + (2 * q + 1) * kTileCols, T::widen(v[q] & 0xffff0000u));
        }
      }
    }
  for (; p < k; p++)
    for (int64_t j = 0; j < kTileCols; j++) panel[p * kTileCols + j] = j < cols ? load_one<T>(b + j * ldb + p) : 0;
}

void pack_b_cols(const float* b, int64_t ldb, int64_t cols, int64_t k, float* panel) {
  for (int64_t p = 0; p < k; p++, b += ldb, panel += kTileCols) {
    if (cols == kTileCols) {
      for (int64_t j = 0; j < kTileCols; j += LANES) store(panel + j, load(b + j));
    } else {
      for (int64_t j = 0; j < kTileCols; j++) panel[j] = j < cols ? b[j] : 0;
    }
  }
}

void tile(int64_t k, const float* a, const float* b, const float* bias, bool add, float* c, int64_t ldc, int64_t rows,
          int64_t cols) {
  Floats sum[TILE_ROWS][TILE_VECTORS] = {};
  for (int64_t p = 0; p < k; p++, a += TILE_ROWS, b += kTileCols) {
    Floats row[TILE_VECTORS];
    PI05_UNROLL
    for (int j = 0; j < TILE_VECTORS; j++) row[j] = load(b + j * LANES);
    PI05_UNROLL
    for (int i = 0; i < TILE_ROWS; i++) {
      const Floats factor = splat(a[i]);
      PI05_UNROLL
      for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] += factor * row[j];
    }
  }
  if (cols == kTileCols) {
    PI05_UNROLL
    for (int i = 0; i < TILE_ROWS; i++) {
      if (i >= rows) return;
      PI05_UNROLL
      for (int j = 0; j < TILE_VECTORS; j++) {
        float* out = c + i * ldc + j * LANES;
        store(out, add ? load(out) + sum[i][j] : bias ? sum[i][j] + load(bias + j * LANES) : sum[i][j]);
      }
    }
    return;
  }
  float buffer[TILE_ROWS * kTileCols];
  PI05_UNROLL
  for (int i = 0; i < TILE_ROWS; i++) PI05_UNROLL
  for (int j = 0; j < TILE_VECTORS; j++) store(buffer + i * kTileCols + j * LANES, sum[i][j]);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++) {
      float* out = c + i * ldc + j;
      *out = buffer[i * kTileCols + j] + (add ? *out : bias ? bias[j] : 0);
    }
}

// Rows of a are split into blocks of nearly equal height, at most SKINNY_ROWS.
inline int64_t skinny_blocks(int64_t m) { return (m + SKINNY_ROWS - 1) / SKINNY_ROWS; }
inline int64_t skinny_block_begin(int64_t m, int64_t block) {
  const int64_t blocks = skinny_blocks(m);
  return m / blocks * block + (block < m % blocks ? block : m % blocks);
}

// Packs a to (block, k / kSkinnyStep, row of the block, kSkinnyStep), with the values in the order of load_pair; zero
// past k.
template <typename T>
void skinny_pack_a(const float* a, int64_t lda, int64_t m, int64_t k, float* packed) {
  for (int64_t block = 0; block < skinny_blocks(m); block++)
    for (int64_t p = 0; p < k; p += kSkinnyStep)
      for (int64_t i = skinny_block_begin(m, block); i < skinny_block_begin(m, block + 1); i++, packed += kSkinnyStep) {
        const float* from = a + i * lda + p;
        float rest[kSkinnyStep] = {};
        if (p + kSkinnyStep > k) {
          for (int64_t q = 0; q < k - p; q++) rest[q] = from[q];
          from = rest;
        }
        constexpr bool kInterleaved = sizeof(typename T::Stored) == 2;
        for (int64_t q = 0; q < LANES; q++) {
          packed[q] = from[kInterleaved ? 2 * q : q];
          packed[q + LANES] = from[kInterleaved ? 2 * q + 1 : q + LANES];
        }
      }
}

// c[ROWS, COLS] of one block of a and COLS rows of b.
template <typename T, int ROWS, int COLS>
void skinny_tile(const float* a, int64_t k, const typename T::Stored* b, int64_t ldb, const float* bias, float* c,
                 int64_t ldc) {
  using Stored = typename T::Stored;
  Floats sum[ROWS][COLS] = {};
  const auto step = [&](const Stored* from, int64_t stride, const Stored* next) __attribute__((always_inline)) {
    Floats even[COLS], odd[COLS];
    PI05_UNROLL
    for (int j = 0; j < COLS; j++) {
      load_pair<T>(from + j * stride, even[j], odd[j]);
      __builtin_prefetch(next + j * stride);  // rows are too short for the hardware prefetcher
    }
    PI05_UNROLL
    for (int i = 0; i < ROWS; i++) {
      const Floats factor = load(a + i * kSkinnyStep);
      PI05_UNROLL
      for (int j = 0; j < COLS; j++) sum[i][j] += factor * even[j];
    }
    PI05_UNROLL
    for (int i = 0; i < ROWS; i++) {
      const Floats factor = load(a + i * kSkinnyStep + LANES);
      PI05_UNROLL
      for (int j = 0; j < COLS; j++) sum[i][j] += factor * odd[j];
    }
    a += ROWS * kSkinnyStep;
  };
  int64_t p = 0;
  for (; p + kSkinnyStep <= k; p += kSkinnyStep) step(b + p, ldb, b + COLS * ldb + p);
  if (p < k) {
    Stored rest[COLS * kSkinnyStep];
    for (int64_t j = 0; j < COLS; j++)
      for (int64_t q = 0; q < kSkinnyStep; q++) rest[j * kSkinnyStep + q] = p + q < k ? b[j * ldb + p + q] : Stored{0};
    step(rest, kSkinnyStep, rest);
  }
  PI05_UNROLL
  for (int i = 0; i < ROWS; i++) {
    const Floats sums = sum_lanes<COLS>(sum[i]);
    PI05_UNROLL
    for (int j = 0; j < COLS; j++) c[i * ldc + j] = bias ? sums[j] + bias[j] : sums[j];
  }
}

template <typename T, int COLS>
void skinny_cols(const float* a, int64_t m, int64_t k, const typename T::Stored* b, int64_t ldb, const float* bias,
                 float* c, int64_t ldc) {
  const int64_t padded = (k + kSkinnyStep - 1) / kSkinnyStep * kSkinnyStep;
  for (int64_t block = 0; block < skinny_blocks(m); block++) {
    const int64_t row = skinny_block_begin(m, block), rows = skinny_block_begin(m, block + 1) - row;
    const float* block_a = a + row * padded;
    float* block_c = c + row * ldc;
    static_assert(SKINNY_ROWS == 5, "one case per height");
    switch (rows) {
      case 1:
        skinny_tile<T, 1, COLS>(block_a, k, b, ldb, bias, block_c, ldc);
        break;
      case 2:
        skinny_tile<T, 2, COLS>(block_a, k, b, ldb, bias, block_c, ldc);
        break;
      case 3:
        skinny_tile<T, 3, COLS>(block_a, k, b, ldb, bias, block_c, ldc);
        break;
      case 4:
        skinny_tile<T, 4, COLS>(block_a, k, b, ldb, bias, block_c, ldc);
        break;
      default:
        skinny_tile<T, 5, COLS>(block_a, k, b, ldb, bias, block_c, ldc);
    }
  }
}

template <typename T>
void skinny(const float* a, int64_t m, int64_t k, const void* stored, int64_t ldb, int64_t first_row, int64_t rows,
            const float* bias, float* c, int64_t ldc) {
  const auto* b = static_cast<const typename T::Stored*>(stored);
  const int64_t end = first_row + rows;
  int64_t j = first_row;
  for (; j + SKINNY_COLS <= end; j += SKINNY_COLS)
    skinny_cols<T, SKINNY_COLS>(a, m, k, b + j * ldb, ldb, bias ? bias + j : nullptr, c + j, ldc);
  for (; j < end; j++) skinny_cols<T, 1>(a, m, k, b + j * ldb, ldb, bias ? bias + j : nullptr, c + j, ldc);
}

}  // namespace
}  // namespace pi05
