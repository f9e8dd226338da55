// The table of the unit that includes this, after it has set LANES, TILE_ROWS, TILE_VECTORS, THIN_ROWS and THIN_COLS.
#pragma once

#include "backend/cpu/simd.h"
#include "backend/cpu/simd_gemm_impl.h"
#include "backend/cpu/simd_math_impl.h"

namespace pi05 {
namespace {

// Entries of one per DType, in its order.
#define PI05_EACH_DTYPE(function) {function<F32>, function<BF16>, function<F16>}

constexpr Simd make_simd(const char* name) {
  return {name,
          TILE_ROWS,
          kTileCols,
          (TILE_ROWS + LANES - 1) / LANES * LANES - TILE_ROWS,
          pack_a,
          PI05_EACH_DTYPE(pack_b_rows),
          pack_b_cols,
          tile,
          kThinStep,
          PI05_EACH_DTYPE(thin_pack_a),
          PI05_EACH_DTYPE(thin),
          exp_f32,
          gelu_tanh,
          gelu_tanh_mul,
          softmax_row,
          PI05_EACH_DTYPE(widen)};
}

}  // namespace
}  // namespace pi05
