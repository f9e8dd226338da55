// Defines make_simd() for one instruction set. The including file first defines LANES, TILE_ROWS, TILE_VECTORS,
// SKINNY_ROWS and SKINNY_COLS.
#pragma once

#include "backend/cpu/simd.h"
#include "backend/cpu/simd_gemm_impl.h"
#include "backend/cpu/simd_math_impl.h"

namespace pi05 {
namespace {

// One entry per DType, in its order.
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
          kSkinnyStep,
          PI05_EACH_DTYPE(skinny_pack_a),
          PI05_EACH_DTYPE(skinny),
          exp_f32,
          gelu_tanh,
          gelu_tanh_mul,
          softmax_row,
          PI05_EACH_DTYPE(widen)};
}

}  // namespace
}  // namespace pi05
