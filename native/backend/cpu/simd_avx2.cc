#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define SKINNY_ROWS 5
#define SKINNY_COLS 2

#include "backend/cpu/simd_unit.h"

namespace pi05 {

const Simd& simd_avx2() {
  static constexpr Simd table = make_simd("avx2");
  return table;
}

}  // namespace pi05
