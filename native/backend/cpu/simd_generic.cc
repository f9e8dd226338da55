// The baseline of the compiler's target: SSE2 on x86-64, NEON on aarch64.
#define LANES 4
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define SKINNY_ROWS 5
#define SKINNY_COLS 2

#include "backend/cpu/simd_unit.h"

namespace pi05 {

const Simd& simd_generic() {
  static constexpr Simd table = make_simd("generic");
  return table;
}

}  // namespace pi05
