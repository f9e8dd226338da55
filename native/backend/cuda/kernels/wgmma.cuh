// Hopper's own instructions (sm_90a): products of a warpgroup with fp32 sums in registers, tiles copied by the tensor
// memory accelerator (TMA).
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include <type_traits>

#include "backend/cuda/kernels/barriers.cuh"

namespace pi05::hopper {

__device__ __forceinline__ void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// ---- TMA: boxes of matrices, whose tensor maps are kernel parameters (__grid_constant__) ----------------------------
__device__ __forceinline__ void tma_prefetch(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
__device__ __forceinline__ void tma_load(uint32_t to, const CUtensorMap* map, int col, int row, uint32_t bar) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::
          "r"(to),
      "l"(map), "r"(col), "r"(row), "r"(bar)
      : "memory");
}
// From shared memory, which tma_written() has shown to TMA. Rows and columns outside the matrix are left out.
__device__ __forceinline__ void tma_store(const CUtensorMap* map, int col, int row, uint32_t from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(col),
               "r"(row), "r"(from)
               : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
__device__ __forceinline__ void tma_written() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
// What this thread's stores read may be overwritten.
__device__ __forceinline__ void tma_store_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }

// One, two or four matrices of 8 by 8 values of 16 bits, of each of which a thread has row lane / 4, columns lane % 4 *
// 2 + {0, 1}: their transposes, a row of 16 bytes at the address of each of the first 8, 16 or all 32 threads.
__device__ __forceinline__ void store_transposed(uint32_t to, uint32_t a) {
  asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(to), "r"(a) : "memory");
}
__device__ __forceinline__ void store_transposed(uint32_t to, uint32_t a, uint32_t b) {
  asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(to), "r"(a), "r"(b) : "memory");
}
__device__ __forceinline__ void store_transposed(uint32_t to, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(a), "r"(b),
               "r"(c), "r"(d)
               : "memory");
}

// The same four matrices as they are, their rows where lanes 0 to 7, 8 to 15, … say.
__device__ __forceinline__ void store_matrices(uint32_t row, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(a), "r"(b), "r"(c),
               "r"(d)
               : "memory");
}
__device__ __forceinline__ void store_pair(uint32_t to, float a, float b) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(to), "f"(a), "f"(b) : "memory");
}
__device__ __forceinline__ uint4 load_shared4(uint32_t at) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(at)
               : "memory");
  return v;
}

// ---- products -------------------------------------------------------------------------------------------------------
template <int kRegisters>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// A tile of rows of 64 values (128 bytes), as TMA lays it out with CU_TENSOR_MAP_SWIZZLE_128B; `at` begins at a
// multiple of 1024 bytes (a row that is a multiple of 8), plus 32 bytes for each 16 columns.
__device__ __forceinline__ uint64_t tile_of(uint32_t at) {
  return static_cast<uint64_t>(at >> 4 & 0x3fff) | uint64_t{1} << 16 | uint64_t{64} << 32 | uint64_t{1} << 62;
}
__device__ __forceinline__ void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kLeft>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}
// Sums are read after this, not before.
template <int kCount>
__device__ __forceinline__ void wgmma_done(float (&d)[kCount]) {
#pragma unroll
  for (float& value : d) asm volatile("" : "+f"(value)::"memory");
}

// clang-format off
#define PI05_D8 "%0,%1,%2,%3,%4,%5,%6,%7"
#define PI05_D16 PI05_D8 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define PI05_D24 PI05_D16 ",%16,%17,%18,%19,%20,%21,%22,%23"
#define PI05_D32 PI05_D24 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define PI05_D40 PI05_D32 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define PI05_D48 PI05_D40 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define PI05_D56 PI05_D48 ",%48,%49,%50,%51,%52,%53,%54,%55"
#define PI05_D64 PI05_D56 ",%56,%57,%58,%59,%60,%61,%62,%63"
#define PI05_D72 PI05_D64 ",%64,%65,%66,%67,%68,%69,%70,%71"
#define PI05_D80 PI05_D72 ",%72,%73,%74,%75,%76,%77,%78,%79"
#define PI05_D88 PI05_D80 ",%80,%81,%82,%83,%84,%85,%86,%87"
#define PI05_D96 PI05_D88 ",%88,%89,%90,%91,%92,%93,%94,%95"
#define PI05_D104 PI05_D96 ",%96,%97,%98,%99,%100,%101,%102,%103"
#define PI05_D112 PI05_D104 ",%104,%105,%106,%107,%108,%109,%110,%111"
#define PI05_D120 PI05_D112 ",%112,%113,%114,%115,%116,%117,%118,%119"
#define PI05_D128 PI05_D120 ",%120,%121,%122,%123,%124,%125,%126,%127"
#define PI05_O(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define PI05_O8(d) PI05_O(d, 0)
#define PI05_O16(d) PI05_O8(d), PI05_O(d, 8)
#define PI05_O24(d) PI05_O16(d), PI05_O(d, 16)
#define PI05_O32(d) PI05_O24(d), PI05_O(d, 24)
#define PI05_O40(d) PI05_O32(d), PI05_O(d, 32)
#define PI05_O48(d) PI05_O40(d), PI05_O(d, 40)
#define PI05_O56(d) PI05_O48(d), PI05_O(d, 48)
#define PI05_O64(d) PI05_O56(d), PI05_O(d, 56)
#define PI05_O72(d) PI05_O64(d), PI05_O(d, 64)
#define PI05_O80(d) PI05_O72(d), PI05_O(d, 72)
#define PI05_O88(d) PI05_O80(d), PI05_O(d, 80)
#define PI05_O96(d) PI05_O88(d), PI05_O(d, 88)
#define PI05_O104(d) PI05_O96(d), PI05_O(d, 96)
#define PI05_O112(d) PI05_O104(d), PI05_O(d, 104)
#define PI05_O120(d) PI05_O112(d), PI05_O(d, 112)
#define PI05_O128(d) PI05_O120(d), PI05_O(d, 120)
#define PI05_D76 PI05_D72 ",%72,%73,%74,%75"
#define PI05_D84 PI05_D80 ",%80,%81,%82,%83"
#define PI05_D92 PI05_D88 ",%88,%89,%90,%91"
#define PI05_O4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define PI05_O76(d) PI05_O72(d), PI05_O4(d, 72)
#define PI05_O84(d) PI05_O80(d), PI05_O4(d, 80)
#define PI05_O92(d) PI05_O88(d), PI05_O4(d, 88)
// clang-format on
#define PI05_WGMMA_OF(type, n, half, a_is, b_is, sum_is)                                                 \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #sum_is ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n \
               "k16.f32." type " {" PI05_D##half "}, %" #a_is ", %" #b_is ", p, 1, 1, 0, 0;\n}"          \
               : PI05_O##half(d)                                                                         \
               : "l"(a), "l"(b), "r"(static_cast<int>(sum)))
#define PI05_WGMMA(n, half, a_is, b_is, sum_is)            \
  if constexpr (N == n && std::is_same_v<Value, __half>)   \
    PI05_WGMMA_OF("f16.f16", n, half, a_is, b_is, sum_is); \
  else if constexpr (N == n)                               \
  PI05_WGMMA_OF("bf16.bf16", n, half, a_is, b_is, sum_is)

// Value: __nv_bfloat16 or __half. d (64, N) = a (64, 16) · b (N, 16)ᵀ, plus d where `sum`. A thread holds of rows warp
// * 16 + lane / 4 + {0, 8} the columns 8 j + lane % 4 * 2 + {0, 1}: d[4 j + 2 * (row's 8) + column's 1].
template <typename Value, int N>
__device__ __forceinline__ void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool sum) {
  PI05_WGMMA(16, 8, 8, 9, 10);
  PI05_WGMMA(32, 16, 16, 17, 18);
  PI05_WGMMA(64, 32, 32, 33, 34);
  PI05_WGMMA(80, 40, 40, 41, 42);
  PI05_WGMMA(112, 56, 56, 57, 58);
  PI05_WGMMA(128, 64, 64, 65, 66);
  PI05_WGMMA(144, 72, 72, 73, 74);
  PI05_WGMMA(152, 76, 76, 77, 78);
  PI05_WGMMA(160, 80, 80, 81, 82);
  PI05_WGMMA(168, 84, 84, 85, 86);
  PI05_WGMMA(176, 88, 88, 89, 90);
  PI05_WGMMA(184, 92, 92, 93, 94);
  PI05_WGMMA(192, 96, 96, 97, 98);
  PI05_WGMMA(208, 104, 104, 105, 106);
  PI05_WGMMA(256, 128, 128, 129, 130);
}

}  // namespace pi05::hopper
