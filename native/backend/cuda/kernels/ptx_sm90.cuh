// PTX instructions of compute capability 9.0: one wrapper each, named after the instruction. mbarriers, clusters and
// bulk copies run on 9.0 and newer; wgmma and setmaxnreg only in code compiled for sm_90a. Shared-memory operands and
// mbarriers are 32-bit addresses (smem_address); after mapa() they refer to another block of the cluster.
#pragma once

#include <cuda.h>

#include "backend/cuda/kernels/ptx_sm80.cuh"

namespace pi05::ptx {

// ---- programmatic dependent launch ----------------------------------------------------------------------------------
// The next kernel of the stream may be launched.
__device__ __forceinline__ void griddepcontrol_launch_dependents() {
  asm volatile("griddepcontrol.launch_dependents;");
}
// Waits until all previous kernels have finished and their memory operations are visible.
__device__ __forceinline__ void griddepcontrol_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// ---- mbarrier -------------------------------------------------------------------------------------------------------
__device__ __forceinline__ void mbarrier_init(uint32_t bar, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(arrivals));
}
// Arrives, and adds `bytes` to what the current phase waits for.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint32_t bar, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(uint32_t bar) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}
// `bar` is in another block's shared memory.
__device__ __forceinline__ void mbarrier_arrive_remote(uint32_t bar) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(bar) : "memory");
}
// Waits for the end of the phase with this parity; acquires at block scope.
__device__ __forceinline__ void mbarrier_wait(uint32_t bar, uint32_t parity) {
  asm volatile("{\n.reg .pred p;\nW: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra W;\n}" ::"r"(bar),
               "r"(parity)
               : "memory");
}
// The same, acquiring at cluster scope: for data that other blocks of the cluster wrote.
__device__ __forceinline__ void mbarrier_wait_cluster(uint32_t bar, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred p;\nW: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], %1;\n@!p bra W;\n}" ::"r"(
          bar),
      "r"(parity)
      : "memory");
}

// ---- fences ---------------------------------------------------------------------------------------------------------
// Makes mbarrier_init visible to the cluster; follow with a cluster barrier.
__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// Orders this thread's memory accesses with the async proxy (TMA, bulk copies, wgmma): of all memory, of shared memory.
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async;" ::: "memory"); }
__device__ __forceinline__ void fence_proxy_async_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- thread block clusters ------------------------------------------------------------------------------------------
// All threads of all blocks of the cluster.
__device__ __forceinline__ void barrier_cluster_arrive() {
  asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
}
__device__ __forceinline__ void barrier_cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ __forceinline__ void barrier_cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// The address in block `rank` that corresponds to `address` in this block.
__device__ __forceinline__ uint32_t mapa(uint32_t address, uint32_t rank) {
  uint32_t mapped;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}
// Stores into another block's shared memory; its mbarrier `bar` counts the bytes.
__device__ __forceinline__ void st_async(uint32_t to, float a, uint32_t bar) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(to), "f"(a), "r"(bar)
               : "memory");
}
__device__ __forceinline__ void st_async_v2(uint32_t to, float a, float b, uint32_t bar) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1,%2}, [%3];" ::"r"(to), "f"(a),
               "f"(b), "r"(bar)
               : "memory");
}
__device__ __forceinline__ void st_async_v4(uint32_t to, uint4 v, uint32_t bar) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.u32 [%0], {%1,%2,%3,%4}, [%5];" ::"r"(to),
               "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w), "r"(bar)
               : "memory");
}

// ---- bulk copies ----------------------------------------------------------------------------------------------------
// L2 cache policies for the copies below.
__device__ __forceinline__ uint64_t createpolicy_evict_first() {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
__device__ __forceinline__ uint64_t createpolicy_evict_last() {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
// Global to shared memory; `bar` counts the bytes.
__device__ __forceinline__ void cp_async_bulk_g2s(uint32_t to, const void* from, uint32_t bytes, uint32_t bar,
                                                  uint64_t policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(bar), "l"(policy)
      : "memory");
}
// Shared memory to another block's shared memory, whose `bar` counts the bytes. Needs fence_proxy_async_shared() after
// the writes to `from`.
__device__ __forceinline__ void cp_async_bulk_s2cluster(uint32_t to, uint32_t from, uint32_t bytes, uint32_t bar) {
  asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "r"(from), "r"(bytes), "r"(bar)
               : "memory");
}
__device__ __forceinline__ void cp_async_bulk_commit_group() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Waits until all but the kPending newest groups of this thread have read their source, which may then be overwritten.
template <int kPending>
__device__ __forceinline__ void cp_async_bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}

// ---- TMA: boxes of tensors. Tensor maps are __grid_constant__ kernel parameters (tensor_map.h); coordinates are those
// of the box's first element, innermost dimension first ----
__device__ __forceinline__ void prefetch_tensormap(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
__device__ __forceinline__ void tma_load_2d(uint32_t to, const CUtensorMap* map, int c0, int c1, uint32_t bar) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::
          "r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(bar)
      : "memory");
}
// To the same offset in each block whose rank's bit is set in `ranks`; each block's mbarrier at the offset of `bar`
// counts the bytes.
__device__ __forceinline__ void tma_load_2d_multicast(uint32_t to, const CUtensorMap* map, int c0, int c1, uint32_t bar,
                                                      uint16_t ranks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(bar), "h"(ranks)
      : "memory");
}
__device__ __forceinline__ void tma_load_4d(uint32_t to, const CUtensorMap* map, int c0, int c1, int c2, int c3,
                                            uint32_t bar) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(bar)
      : "memory");
}
__device__ __forceinline__ void tma_load_4d(uint32_t to, const CUtensorMap* map, int c0, int c1, int c2, int c3,
                                            uint32_t bar, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%2, %3, %4, %5}], [%6], %7;" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(bar), "l"(policy)
      : "memory");
}
__device__ __forceinline__ void tma_load_5d(uint32_t to, const CUtensorMap* map, int c0, int c1, int c2, int c3, int c4,
                                            uint32_t bar) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4, %5, %6}], [%7];" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4), "r"(bar)
      : "memory");
}
// From shared memory, after fence_proxy_async_shared(); elements outside the tensor are not written. Commits a group.
__device__ __forceinline__ void tma_store_2d(const CUtensorMap* map, int c0, int c1, uint32_t from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(c0),
               "r"(c1), "r"(from)
               : "memory");
  cp_async_bulk_commit_group();
}

__device__ __forceinline__ void tma_store_3d(const CUtensorMap* map, int c0, int c1, int c2, uint32_t from) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3}], [%4];" ::"l"(map),
               "r"(c0), "r"(c1), "r"(c2), "r"(from)
               : "memory");
  cp_async_bulk_commit_group();
}

// ---- stmatrix: 8 x 8 matrices of 16-bit values, of which a thread holds row lane / 4, columns lane % 4 * 2 + {0, 1};
// lanes 8 i to 8 i + 7 give the row addresses of matrix i ----
__device__ __forceinline__ void stmatrix(uint32_t row, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(a), "r"(b), "r"(c),
               "r"(d)
               : "memory");
}
__device__ __forceinline__ void stmatrix_trans(uint32_t row, uint32_t a) {
  asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(row), "r"(a) : "memory");
}
__device__ __forceinline__ void stmatrix_trans(uint32_t row, uint32_t a, uint32_t b) {
  asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(row), "r"(a), "r"(b) : "memory");
}
__device__ __forceinline__ void stmatrix_trans(uint32_t row, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(a), "r"(b),
               "r"(c), "r"(d)
               : "memory");
}

// ---- wgmma (sm_90a): products of a warpgroup, fp32 sums in registers ------------------------------------------------
// Registers per thread of this warp from here on.
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_inc() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_dec() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// Matrix descriptors of tiles as TMA writes them. With CU_TENSOR_MAP_SWIZZLE_128B: rows of 128 bytes (64 values of 16
// bits, 128 of e4m3); `tile` is aligned to 1024 bytes (8 rows), plus 32 bytes for each 16 columns (32 of e4m3).
__device__ __forceinline__ uint64_t wgmma_descriptor_128b(uint32_t tile) {
  return static_cast<uint64_t>(tile >> 4 & 0x3fff) | uint64_t{1} << 16 | uint64_t{64} << 32 | uint64_t{1} << 62;
}
// With CU_TENSOR_MAP_SWIZZLE_32B: rows of 16 values (32 bytes).
__device__ __forceinline__ uint64_t wgmma_descriptor_32b(uint32_t tile) {
  return static_cast<uint64_t>(tile >> 4 & 0x3fff) | uint64_t{1} << 16 | uint64_t{16} << 32 | uint64_t{3} << 62;
}
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
// Keeps the compiler from moving reads of the sums before the wait (CUTLASS: warpgroup_fence_operand).
template <int kCount>
__device__ __forceinline__ void wgmma_fence_operand(float (&d)[kCount]) {
#pragma unroll
  for (float& value : d) asm volatile("" : "+f"(value)::"memory");
}

// Operand lists: PI05_D<n> names n registers from %0 on, PI05_O<n>(d) binds them to d.
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
// a_is, b_is, acc_is: operand numbers of a, b and accumulate.
#define PI05_WGMMA_OF(type, n, half, a_is, b_is, acc_is, flags)                                                   \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #acc_is ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n "k" type \
               " {" PI05_D##half "}, %" #a_is ", %" #b_is ", p, 1, 1" flags ";\n}"                                \
               : PI05_O##half(d)                                                                                  \
               : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)))
#define PI05_WGMMA(n, half, a_is, b_is, acc_is)                             \
  if constexpr (N == n && std::is_same_v<Value, __half>)                    \
    PI05_WGMMA_OF("16.f32.f16.f16", n, half, a_is, b_is, acc_is, ", 0, 0"); \
  else if constexpr (N == n && std::is_same_v<Value, __nv_fp8_e4m3>)        \
    PI05_WGMMA_OF("32.f32.e4m3.e4m3", n, half, a_is, b_is, acc_is, "");     \
  else if constexpr (N == n)                                                \
  PI05_WGMMA_OF("16.f32.bf16.bf16", n, half, a_is, b_is, acc_is, ", 0, 0")

// d (64, N) = a (64, k) · b (N, k)ᵀ, plus d with `accumulate`. a, b: matrix descriptors; Value: __nv_bfloat16 or
// __half with k = 16, __nv_fp8_e4m3 with k = 32 (its sums keep about 14 bits). A thread holds the rows
// warp * 16 + lane / 4 + {0, 8} and the columns 8 j + lane % 4 * 2 + {0, 1}, as
// d[4 j + 2 * (row is the second) + (column is the second)].
template <typename Value, int N>
__device__ __forceinline__ void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
  PI05_WGMMA(16, 8, 8, 9, 10);
  PI05_WGMMA(32, 16, 16, 17, 18);
  PI05_WGMMA(64, 32, 32, 33, 34);
  PI05_WGMMA(80, 40, 40, 41, 42);
  PI05_WGMMA(96, 48, 48, 49, 50);
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

#define PI05_WGMMA_TRANS_B_OF(type, n, half, a0, a1, a2, a3, b_is, acc_is)                               \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #acc_is ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n \
               "k16.f32." type " {" PI05_D##half "}, {%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #b_is  \
                                                 ", p, 1, 1, 1;\n}"                                      \
               : PI05_O##half(d)                                                                         \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(accumulate)))
#define PI05_WGMMA_TRANS_B(n, half, a0, a1, a2, a3, b_is, acc_is)            \
  if constexpr (N == n && std::is_same_v<Value, __half>)                     \
    PI05_WGMMA_TRANS_B_OF("f16.f16", n, half, a0, a1, a2, a3, b_is, acc_is); \
  else if constexpr (N == n)                                                 \
  PI05_WGMMA_TRANS_B_OF("bf16.bf16", n, half, a0, a1, a2, a3, b_is, acc_is)

// d (64, N) = a (64, 16) · b (16, N), plus d with `accumulate`. b: matrix descriptor of a tile of 16 rows (transposed
// operand). a: in registers, of the thread's two rows (alternating) the columns lane % 4 * 2 + {0, 1}, then 8 further.
template <typename Value, int N>
__device__ __forceinline__ void wgmma_trans_b(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  PI05_WGMMA_TRANS_B(16, 8, 8, 9, 10, 11, 12, 13);
  PI05_WGMMA_TRANS_B(64, 32, 32, 33, 34, 35, 36, 37);
}

}  // namespace pi05::ptx
