#define LANES 16
#define TILE_ROWS 14
#define TILE_VECTORS 2
#define SKINNY_ROWS 5
#define SKINNY_COLS 4

#include "backend/cpu/simd_unit.h"

namespace pi05 {

const Simd& simd_avx512() {
  static constexpr Simd table = make_simd("avx512");
  return table;
}

}  // namespace pi05
