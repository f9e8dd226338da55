// What kernels in clusters of blocks need of Hopper's instructions.
#pragma once

#include "backend/cuda/kernels/wgmma.cuh"

namespace pi05::hopper {

// Initialised barriers become visible to TMA, and, before cluster_arrive(), to the cluster.
__device__ __forceinline__ void mbar_init_for_tma() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
__device__ __forceinline__ void mbar_init_for_cluster() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
// Where `at` of this block's shared memory is in another block's.
__device__ __forceinline__ uint32_t map_rank(uint32_t at, int rank) {
  uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(at), "r"(rank));
  return there;
}
// A barrier of another block, by map_rank(). What is said is that shared memory has been read.
__device__ __forceinline__ void mbar_arrive_there(uint32_t bar) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(bar) : "memory");
}
// To the same place in each block whose rank's bit is set, for its barrier at the same place.
__device__ __forceinline__ void tma_load_shared(uint32_t to, const CUtensorMap* map, int col, int row, uint32_t bar,
                                                uint16_t ranks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(col), "r"(row), "r"(bar), "h"(ranks)
      : "memory");
}

}  // namespace pi05::hopper
