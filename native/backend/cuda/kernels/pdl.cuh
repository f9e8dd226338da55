// Programmatic dependent launch: a kernel starts before its predecessors in the stream have finished, so that its
// prologue (barriers, weight loads) overlaps with their end. Compute capability 9.0 and newer; elsewhere kernels are
// launched as usual and both device functions do nothing.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/kernels/ptx_sm90.cuh"

namespace pi05::kernels {

// Allows the next kernel to start; that kernel must call pdl_wait() if it was launched with launch_pdl().
__device__ __forceinline__ void pdl_trigger() {
#if __CUDA_ARCH__ >= 900
  ptx::griddepcontrol_launch_dependents();
#endif
}
// Waits until all previous kernels have finished. Every block of a kernel that launch_pdl() starts calls this before it
// reads what those kernels write, and before it writes anything. So no kernel finishes before its predecessors do, and
// waiting for one kernel is waiting for all before it. Data written before the first such kernel may be read earlier:
// weights, the inputs of an inference, the modulation table.
__device__ __forceinline__ void pdl_wait() {
#if __CUDA_ARCH__ >= 900
  ptx::griddepcontrol_wait();
#endif
}

// Launches with the programmatic-serialization attribute if the kernel's code is for 9.0 or newer, since older code
// cannot wait. `shared`: bytes of dynamic shared memory.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_pdl(void (*kernel)(Parameters...), dim3 grid, dim3 block, int64_t shared, cudaStream_t stream,
                       Arguments... arguments) {
  cudaFuncAttributes code{};
  const cudaError_t result = cudaFuncGetAttributes(&code, kernel);
  if (result != cudaSuccess) return result;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t launch{};
  launch.gridDim = grid, launch.blockDim = block, launch.dynamicSmemBytes = static_cast<size_t>(shared);
  launch.stream = stream, launch.attrs = &attribute, launch.numAttrs = code.ptxVersion >= 90;
  return cudaLaunchKernelEx(&launch, kernel, (Parameters)(arguments)...);
}

// The same for a kernel of compute capability 9.0 whose grid consists of clusters of `cluster` blocks along x.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_pdl_clusters(void (*kernel)(Parameters...), unsigned cluster, dim3 grid, dim3 block, int64_t shared,
                                cudaStream_t stream, Arguments... arguments) {
  cudaLaunchAttribute attributes[2]{};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = cluster, attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t launch{};
  launch.gridDim = grid, launch.blockDim = block, launch.dynamicSmemBytes = static_cast<size_t>(shared);
  launch.stream = stream, launch.attrs = attributes, launch.numAttrs = 2;
  return cudaLaunchKernelEx(&launch, kernel, (Parameters)(arguments)...);
}

}  // namespace pi05::kernels
