// What attention needs of Hopper's instructions beyond wgmma.cuh and cluster.cuh.
#pragma once

#include "backend/cuda/kernels/cluster.cuh"

namespace pi05::hopper {

__device__ __forceinline__ void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- clusters -------------------------------------------------------------------------------------------------------
// Into another block's shared memory, whose barrier counts the bytes.
__device__ __forceinline__ void st_async(uint32_t at, float a, uint32_t bar) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(at), "f"(a), "r"(bar)
               : "memory");
}
__device__ __forceinline__ float load_shared(uint32_t at) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(at) : "memory");
  return v;
}
// Bytes that tma_written() has shown to the copy engine, into another block's shared memory, whose barrier counts them.
__device__ __forceinline__ void bulk_send(uint32_t to, uint32_t from, uint32_t bytes, uint32_t bar) {
  asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "r"(from), "r"(bytes), "r"(bar)
               : "memory");
}
__device__ __forceinline__ void bulk_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// What this thread has sent may be overwritten, up to its last kLeft commits.
template <int kLeft>
__device__ __forceinline__ void bulk_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kLeft) : "memory");
}

// ---- TMA: boxes of (columns of a head, heads, tokens, 1 batch element) ----------------------------------------------
__device__ __forceinline__ void tma_load(uint32_t to, const CUtensorMap* map, int col, int head, int token, int batch,
                                         uint32_t bar) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
      "l"(map), "r"(col), "r"(head), "r"(token), "r"(batch), "r"(bar)
      : "memory");
}

// ---- products -------------------------------------------------------------------------------------------------------
// A tile of rows of 16 values (32 bytes), as TMA lays it out with CU_TENSOR_MAP_SWIZZLE_32B.
__device__ __forceinline__ uint64_t narrow_tile_of(uint32_t at) {
  return static_cast<uint64_t>(at >> 4 & 0x3fff) | uint64_t{1} << 16 | uint64_t{16} << 32 | uint64_t{3} << 62;
}

#define PI05_WGMMA_TURNED_OF(type, n, half, a0, a1, a2, a3, b_is, sum_is)                                \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #sum_is ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n \
               "k16.f32." type " {" PI05_D##half "}, {%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #b_is  \
                                                 ", p, 1, 1, 1;\n}"                                      \
               : PI05_O##half(d)                                                                         \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(sum)))
#define PI05_WGMMA_TURNED(n, half, a0, a1, a2, a3, b_is, sum_is)            \
  if constexpr (N == n && std::is_same_v<Value, __half>)                    \
    PI05_WGMMA_TURNED_OF("f16.f16", n, half, a0, a1, a2, a3, b_is, sum_is); \
  else if constexpr (N == n)                                                \
  PI05_WGMMA_TURNED_OF("bf16.bf16", n, half, a0, a1, a2, a3, b_is, sum_is)

// d (64, N) = a (64, 16) · b (16, N), plus d where `sum`; b is a tile of 16 rows, a the thread's share of the left
// operand: of its two rows (alternating) columns lane % 4 * 2 + {0, 1}, then those 8 further.
template <typename Value, int N>
__device__ __forceinline__ void wgmma_turned(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool sum) {
  PI05_WGMMA_TURNED(16, 8, 8, 9, 10, 11, 12, 13);
  PI05_WGMMA_TURNED(64, 32, 32, 33, 34, 35, 36, 37);
}

}  // namespace pi05::hopper
