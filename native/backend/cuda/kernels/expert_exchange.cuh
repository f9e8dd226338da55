// Access to the exchange buffer of the persistent expert kernel (ExchangeBuffer): publish, poll and clear words.
#pragma once

#include "backend/cuda/kernels/expert_context.cuh"

namespace pi05::expert {

// A word that has not been published. As data it would be NaNs (two of bf16, or one of fp32), but not those that
// arithmetic and conversions produce: these are 0x7fff and 0x7fffffff.
constexpr uint32_t kEmpty = 0xffffffffu;

__device__ __forceinline__ bool is_empty(uint32_t v) { return v == kEmpty; }
__device__ __forceinline__ bool is_empty(uint4 v) {
  return v.x == kEmpty || v.y == kEmpty || v.z == kEmpty || v.w == kEmpty;
}
__device__ __forceinline__ void publish(void* word, uint32_t v) { ptx::st_relaxed(word, v); }
__device__ __forceinline__ uint32_t poll(const void* word) { return ptx::ld_relaxed(word); }
__device__ __forceinline__ uint4 poll_v4(const void* words) { return ptx::ld_relaxed_v4(words); }
__device__ __forceinline__ void clear_v2(void* words) { ptx::st_relaxed_v2(words, kEmpty, kEmpty); }
__device__ __forceinline__ void clear_v4(void* words) {
  ptx::st_relaxed_v4(words, make_uint4(kEmpty, kEmpty, kEmpty, kEmpty));
}

// Offset of element (row, col) of 16 rows in fragment order: (block of 32 columns, half of the rows, lane, 8 columns).
__device__ __forceinline__ int fragment_offset(int row, int col) {
  return ((col >> 5) * 2 + (row >> 3)) * 256 + ((row & 7) * 4 + ((col >> 3) & 3)) * 8 + (col & 7);
}

// A warp's slice of the activations as mma fragments: rows lane / 4 (low) and lane / 4 + 8 (high), blocks of 32 inputs.
// Inputs are permuted within a block, in the same way for activations and weights, so that the 8 inputs of a lane are
// adjacent in memory.
template <int Blocks>
struct Fragments {
  uint4 low[Blocks], high[Blocks];
  __device__ __forceinline__ bool incomplete() const {
    bool any = false;
#pragma unroll
    for (int b = 0; b < Blocks; ++b) any |= is_empty(low[b]) || is_empty(high[b]);
    return any;
  }
};
// Polls `Blocks` blocks of 32 columns from column `first` on until every word is published.
template <int Blocks>
__device__ __forceinline__ Fragments<Blocks> receive(const __nv_bfloat16* x, int first, int lane) {
  Fragments<Blocks> a;
  const __nv_bfloat16* fragment = x + first * kRows + lane * 8;
  do {
#pragma unroll
    for (int b = 0; b < Blocks; ++b)
      a.low[b] = poll_v4(fragment + b * 512), a.high[b] = poll_v4(fragment + b * 512 + 256);
  } while (a.incomplete());
  return a;
}
// Polls one word of each of this warp's writers before receive(): less traffic than polling everything.
__device__ __forceinline__ void wait_until_published(const void* word) {
  while (is_empty(poll(word))) {
  }
  __syncwarp();
}

}  // namespace pi05::expert
