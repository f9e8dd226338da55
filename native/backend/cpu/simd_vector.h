// Vectors of LANES floats for one instruction set, as GCC vector extensions, so that one source serves all targets.
// Everything here and in simd_*_impl.h has internal linkage, and no inline function of another header is called: the
// linker keeps one copy of an inline function per program, and that could be one compiled for AVX-512.
#pragma once

#include <cstdint>

namespace pi05 {
namespace {

typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(LANES * 4)));
typedef Floats UnalignedFloats __attribute__((aligned(4), may_alias));
typedef Words UnalignedWords __attribute__((aligned(2), may_alias));

#define PI05_INLINE inline __attribute__((always_inline))
#define PI05_UNROLL _Pragma("GCC unroll 32")

PI05_INLINE Floats load(const float* p) { return *reinterpret_cast<const UnalignedFloats*>(p); }
PI05_INLINE void store(float* p, Floats v) { *reinterpret_cast<UnalignedFloats*>(p) = v; }
PI05_INLINE Floats splat(float v) { return v - Floats{}; }

// zip_low(a, b) = a0 b0 a1 b1 …, zip_high the same for the upper half.
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

// Transposes LANES vectors of LANES words in place.
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

// Lane i of the result is the sum of the lanes of v[i], for i < COUNT. COUNT is a power of two up to LANES.
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

// 16-bit weights are loaded as pairs in 32-bit words. widen() takes a word with the value in its upper half and zero in
// its lower half: the upper value of a pair is masked, the lower one shifted.
struct F32 {
  using Stored = float;
};

struct BF16 {
  using Stored = uint16_t;
  static PI05_INLINE Floats widen(Words upper) { return reinterpret_cast<Floats>(upper); }
};

struct F16 {
  using Stored = uint16_t;
  // The multiplication adjusts the exponent bias and normalises subnormals; infinity and NaN are restored.
  static PI05_INLINE Floats widen(Words upper) {
    const Words magnitude = (upper & 0x7fff0000u) >> 3;
    const Words value = reinterpret_cast<Words>(reinterpret_cast<Floats>(magnitude) * 0x1p112f);
    const Words special = reinterpret_cast<Words>(magnitude >= 0x0f800000u) & 0x7f800000u;
    return reinterpret_cast<Floats>(value | special | (upper & 0x80000000u));
  }
};

// Loads 2 · LANES stored values: those at even and at odd indices; for F32 the first and the second LANES.
template <typename T>
PI05_INLINE void load_pair(const typename T::Stored* p, Floats& first, Floats& second) {
  if constexpr (sizeof(typename T::Stored) == 4) {
    first = load(p);
    second = load(p + LANES);
  } else {
    const Words words = *reinterpret_cast<const UnalignedWords*>(p);
    first = T::widen(words << 16);
    second = T::widen(words & 0xffff0000u);
  }
}

// Loads one value, as load_pair does.
template <typename T>
PI05_INLINE float load_one(const typename T::Stored* p) {
  if constexpr (sizeof(typename T::Stored) == 4)
    return *p;
  else
    return T::widen(Words{} + (static_cast<uint32_t>(*p) << 16))[0];
}

}  // namespace
}  // namespace pi05
