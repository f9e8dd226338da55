// Vectors of the unit that includes this: LANES floats. Everything here and in simd_*_impl.h has internal linkage, and
// no inline function from elsewhere is called: the linker keeps one copy of such a function for the whole program, and
// it must not be one compiled for a larger processor. GCC's vector extensions, so that one text serves every target.
#pragma once

#include <cstdint>

namespace pi05 {
namespace {

typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(LANES * 4)));
typedef Floats LooseFloats __attribute__((aligned(4), may_alias));
typedef Words LooseWords __attribute__((aligned(2), may_alias));

#define PI05_INLINE inline __attribute__((always_inline))
#define PI05_UNROLL _Pragma("GCC unroll 32")

PI05_INLINE Floats load(const float* p) { return *reinterpret_cast<const LooseFloats*>(p); }
PI05_INLINE void store(float* p, Floats v) { *reinterpret_cast<LooseFloats*>(p) = v; }
PI05_INLINE Floats splat(float v) { return v - Floats{}; }

// zip_low(a, b) = a0 b0 a1 b1 …, zip_high the same from the middle on.
#if LANES == 16
#define PI05_ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define PI05_ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define PI05_ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define PI05_ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define PI05_ZIP_LOW 0, 4, 1, 5
#define PI05_ZIP_HIGH 2, 6, 3, 7
#endif

template <typename V>
PI05_INLINE V zip_low(V a, V b) {
  return __builtin_shuffle(a, b, Words{PI05_ZIP_LOW});
}
template <typename V>
PI05_INLINE V zip_high(V a, V b) {
  return __builtin_shuffle(a, b, Words{PI05_ZIP_HIGH});
}

// Rows become columns: LANES vectors of LANES words, in place.
PI05_INLINE void transpose(Words* v) {
  PI05_UNROLL
  for (int stage = 1; stage < LANES; stage *= 2) {
    Words t[LANES];
    PI05_UNROLL
    for (int i = 0; i < LANES / 2; i++) {
      t[2 * i] = zip_low(v[i], v[i + LANES / 2]);
      t[2 * i + 1] = zip_high(v[i], v[i + LANES / 2]);
    }
    PI05_UNROLL
    for (int i = 0; i < LANES; i++) v[i] = t[i];
  }
}

// The first COUNT lanes are the sums over the lanes of v[0] … v[COUNT − 1]; COUNT is a power of two up to LANES.
template <int COUNT>
PI05_INLINE Floats sum_lanes(const Floats* v) {
  Floats t[COUNT];
  PI05_UNROLL
  for (int i = 0; i < COUNT; i++) t[i] = v[i];
  PI05_UNROLL
  for (int half = COUNT / 2; half >= 1; half /= 2) PI05_UNROLL
  for (int i = 0; i < half; i++) t[i] = zip_low(t[i], t[i + half]) + zip_high(t[i], t[i + half]);
  Floats sum = t[0];
  PI05_UNROLL
  for (int shift = LANES / 2; shift >= COUNT; shift /= 2) {
    Words from;
    PI05_UNROLL
    for (int i = 0; i < LANES; i++) from[i] = static_cast<uint32_t>((i + shift) % LANES);
    sum += __builtin_shuffle(sum, from);
  }
  return sum;
}

// Weights of two bytes are handled as words that hold the value in the upper half, its lower half being zero: the upper
// of a pair is masked, the lower shifted, and nothing is unpacked.
struct F32 {
  using Stored = float;
};

struct BF16 {
  using Stored = uint16_t;
  static PI05_INLINE Floats widen(Words upper) { return reinterpret_cast<Floats>(upper); }
};

struct F16 {
  using Stored = uint16_t;
  // Exponents are rebased by a multiplication, which also normalises subnormals; infinity and NaN are put back.
  static PI05_INLINE Floats widen(Words upper) {
    const Words magnitude = (upper & 0x7fff0000u) >> 3;
    const Words value = reinterpret_cast<Words>(reinterpret_cast<Floats>(magnitude) * 0x1p112f);
    const Words special = reinterpret_cast<Words>(magnitude >= 0x0f800000u) & 0x7f800000u;
    return reinterpret_cast<Floats>(value | special | (upper & 0x80000000u));
  }
};

// The values at even and at odd places of 2 · LANES stored values; for F32 the first and the second LANES.
template <typename T>
PI05_INLINE void load_pair(const typename T::Stored* p, Floats& first, Floats& second) {
  if constexpr (sizeof(typename T::Stored) == 4) {
    first = load(p);
    second = load(p + LANES);
  } else {
    const Words words = *reinterpret_cast<const LooseWords*>(p);
    first = T::widen(words << 16);
    second = T::widen(words & 0xffff0000u);
  }
}

// One value; scalar twin of load_pair.
template <typename T>
PI05_INLINE float load_one(const typename T::Stored* p) {
  if constexpr (sizeof(typename T::Stored) == 4)
    return *p;
  else
    return T::widen(Words{} + (static_cast<uint32_t>(*p) << 16))[0];
}

}  // namespace
}  // namespace pi05
