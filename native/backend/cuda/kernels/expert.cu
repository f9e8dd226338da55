// Weight packing and launch of the persistent expert kernel (expert_persistent.cuh).
#include "backend/cuda/kernels/expert.h"

#include <algorithm>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/expert_persistent.cuh"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/tensor_map.h"
#include "backend/cuda/launch_log.h"

namespace pi05::kernels {
namespace {

constexpr int kTiles = 9, kClusters = 15;  // 15 clusters of at most 9 tiles own the 128 tiles of residual columns
constexpr int kBlocks = kClusters * expert::kCluster;
constexpr int kInFlight = 2;  // stages; measured: more delays the exchange between blocks
constexpr int kMaxPrefix = 8 * (expert::kMaxKeys - 2);

using Weights = expert::WeightLayout<kTiles>;
using Shared = expert::SharedLayout<kTiles>;

// Packs one layer: block b of the grid writes what block b of the persistent kernel streams, in this order: q (or k and
// v), o, gate and up, down. One element per thread and iteration.
__global__ void pack_kernel(uint8_t* packed, const bf16* qkv, const bf16* o, const bf16* gate_up, const bf16* down) {
  const int block = static_cast<int>(blockIdx.x), rank = block % 8, cluster = block / 8;
  const bool has_head = cluster < expert::kHeads;
  const int64_t first =
      static_cast<int64_t>(has_head ? Weights::kQueryChunks : Weights::kKvChunks) * Weights::kWideBytes / 2;
  const int64_t out = first + static_cast<int64_t>(Weights::kOutChunks) * Weights::kSplitBytes / 2;
  const int64_t up = out + static_cast<int64_t>(Weights::kUpChunks) * Weights::kWideBytes / 2;
  const int64_t end = up + static_cast<int64_t>(Weights::kDownChunks) * Weights::kSplitBytes / 2;
  bf16* const to = reinterpret_cast<bf16*>(packed + block * Weights::kLayerBytes);
  for (int64_t e = blockIdx.y * static_cast<int64_t>(blockDim.x) + threadIdx.x; e < end;
       e += static_cast<int64_t>(gridDim.y) * blockDim.x) {
    const bool is_first = e < first, is_out = !is_first && e < out, is_up = !is_first && !is_out && e < up;
    const int at = static_cast<int>(e - (is_first ? 0 : is_out ? first : is_up ? out : up));
    const int tiles = is_first ? (has_head ? Weights::kQuery : Weights::kKv) : kTiles;
    const int per_warp = is_first || is_up ? Weights::kWideTiles : Weights::kSplitTiles;  // tiles per chunk and warp
    const int blocks = is_first || is_up ? 4 : is_out ? 1 : 2;                            // of 32 inputs, per warp
    const int chunk = at / (per_warp * 2048), rest = at % (per_warp * 2048), warp = rest / (per_warp * 256);
    const int index = chunk * per_warp + rest / 256 % per_warp, tile = index % tiles;
    const int row = rest / 32 % 8, k = (warp * blocks + index / tiles) * 32 + rest % 32;
    const int pair = row / 2, high = row % 2;

    bf16 value = narrow<bf16>(0.0f);
    if (is_first && has_head) {
      value = qkv[(cluster * 256 + rank * 16 + 4 * tile + pair + high * 128) * 1024 + k];
    } else if (is_first) {
      const int unit = block - 64 + tile * (kBlocks - 64), column = unit % 32 * 4 + pair + high * 128;
      if (unit < expert::kKvTiles) value = qkv[((unit < 32 ? 2048 : 2304) + column) * 1024 + k];
    } else if (is_up) {
      const int unit = block + tile * kBlocks;
      if (unit < 1024) value = gate_up[(unit * 4 + pair + high * 4096) * 1024 + k];
    } else {
      const int own = cluster + tile * kClusters;
      if (own < 128)
        value = is_out ? o[(own * 8 + row) * 2048 + rank * 256 + k] : down[(own * 8 + row) * 4096 + rank * 512 + k];
    }
    to[e] = value;
  }
}

struct ExpertLaunch {
  explicit ExpertLaunch(int shared) {
    attributes[0].id = cudaLaunchAttributeClusterDimension;
    attributes[0].val.clusterDim.x = expert::kCluster;
    attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
    attributes[1].id = cudaLaunchAttributeCooperative;
    attributes[1].val.cooperative = 1;
    config.gridDim = kBlocks;
    config.blockDim = expert::kThreads;
    config.dynamicSmemBytes = static_cast<size_t>(shared);
    config.attrs = attributes;
    config.numAttrs = 2;
  }
  cudaLaunchAttribute attributes[2]{};
  cudaLaunchConfig_t config{};
};

// Pipeline stages that fit into shared memory. All pages of a layer must fit into them at once.
int stages_for(int shared) { return std::min(expert::kMaxStages, (shared - Shared::kRing) / Shared::kStage); }

// Tensor map of the cache's keys or values: (layers, 4, prefix tokens, 64 columns). A box is a page of 16 tokens with
// all 256 columns. Rows after the prefix read as zeros.
bool page_map(void* cache, int64_t capacity, const ExpertFlow& flow, CUtensorMap* map) {
  const auto encode = tensor_map_encoder();
  const cuuint64_t sizes[] = {64, static_cast<cuuint64_t>(flow.prefix_tokens), 4, static_cast<cuuint64_t>(flow.layers)};
  const cuuint64_t strides[] = {512, 128, static_cast<cuuint64_t>(capacity) * 512};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(expert::kPage), 4, 1}, steps[] = {1, 1, 1, 1};
  return encode && encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, cache, sizes, strides, box, steps,
                          CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                          CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

int shared_bytes(int stages) { return Shared::kRing + stages * Shared::kStage; }

}  // namespace

bool expert_flow_supported(const Dimensions& dims) {
  const auto& e = dims.expert;
  if (e.width != expert::kWidth || e.heads != expert::kHeads || e.kv_heads != 1 || e.head_dim != expert::kDim ||
      e.mlp != expert::kMlp || dims.action_dim != expert::kActionDim || dims.horizon > expert::kRows ||
      dims.max_prefix() > kMaxPrefix)
    return false;
  if (!gpu().is_hopper() || !tensor_map_encoder()) return false;
  const int stages = stages_for(gpu().shared_memory_per_block);
  const int64_t keys = (dims.max_prefix() + 7) / 8 + 2;  // of a block: its part of the prefix and two action rows
  if (stages < (keys + expert::kPage - 1) / expert::kPage) return false;
  const int shared = shared_bytes(stages);
  if (cudaFuncSetAttribute(expert::kernel<kTiles>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared) !=
      cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  ExpertLaunch launch(shared);
  launch.config.numAttrs = 1;
  int clusters = 0;
  const cudaError_t result = cudaOccupancyMaxActiveClusters(&clusters, expert::kernel<kTiles>, &launch.config);
  if (result != cudaSuccess) cudaGetLastError();
  return result == cudaSuccess && clusters >= kClusters;
}

int64_t expert_weight_bytes(int64_t layers) { return layers * kBlocks * static_cast<int64_t>(Weights::kLayerBytes); }

int64_t expert_exchange_bytes() { return 2 * static_cast<int64_t>(sizeof(expert::ExchangeBuffer)); }

cudaError_t pack_expert(int64_t layer, const Tensor& qkv, const Tensor& o, const Tensor& gate_up, const Tensor& down,
                        void* packed, cudaStream_t stream) {
  const auto is = [](const Tensor& t, int64_t rows, int64_t cols) {
    return t.dtype == DType::BF16 && t.rows == rows && t.cols == cols;
  };
  if (!is(qkv, 2560, 1024) || !is(o, 1024, 2048) || !is(gate_up, 8192, 1024) || !is(down, 1024, 4096))
    return cudaErrorInvalidValue;
  pack_kernel<<<dim3(kBlocks, 8), 256, 0, stream>>>(
      static_cast<uint8_t*>(packed) + layer * kBlocks * static_cast<int64_t>(Weights::kLayerBytes),
      static_cast<const bf16*>(qkv.data), static_cast<const bf16*>(o.data), static_cast<const bf16*>(gate_up.data),
      static_cast<const bf16*>(down.data));
  return cudaGetLastError();
}

cudaError_t expert_flow(const ExpertFlow& flow, const Inputs& in, const Cache& cache, const Matrix& modulation,
                        const Matrix& x, const Matrix& velocities, cudaStream_t stream) {
  if (x.rows > expert::kRows || x.cols != expert::kActionDim || x.stride != x.cols || velocities.stride != x.cols ||
      cache.k.dtype != DType::BF16 || cache.k.stride != expert::kDim || cache.v.stride != expert::kDim ||
      modulation.stride != (2 * flow.layers + 1) * 3 * expert::kWidth || flow.prefix_tokens > kMaxPrefix)
    return cudaErrorInvalidValue;
  expert::KernelParams p{};
  p.weights = static_cast<const uint8_t*>(flow.packed);
  if (!page_map(cache.k.data, cache.capacity, flow, &p.keys) ||
      !page_map(cache.v.data, cache.capacity, flow, &p.values))
    return cudaErrorInvalidValue;
  p.prefix = static_cast<int>(flow.prefix_tokens);
  p.clusters = kClusters;
  p.stages = stages_for(gpu().shared_memory_per_block);
  p.inflight = std::min(kInFlight, p.stages);
  p.layers = static_cast<int>(flow.layers), p.steps = static_cast<int>(flow.steps), p.rows = static_cast<int>(x.rows);
  p.mod = static_cast<const float*>(modulation.data);
  p.in_w = flow.action_in, p.in_b = flow.action_in_bias, p.out_w = flow.action_out, p.out_b = flow.action_out_bias;
  p.noise = in.noise, p.prev_chunk = in.prev_chunk, p.prefix_weights = in.prefix_weights,
  p.guidance_weights = in.guidance_weights, p.times = in.times;
  p.actions = static_cast<float*>(x.data);
  p.velocities = static_cast<float*>(velocities.data);
  p.dt = static_cast<float>(-1.0 / static_cast<double>(flow.steps));
  p.exchange = static_cast<expert::ExchangeBuffer*>(flow.exchange);

  cudaError_t result = cudaMemsetAsync(flow.exchange, 0xff, static_cast<size_t>(expert_exchange_bytes()), stream);
  if (result != cudaSuccess) return result;
  const int shared = shared_bytes(p.stages);
  result = cudaFuncSetAttribute(expert::kernel<kTiles>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  if (result != cudaSuccess) return result;
  ExpertLaunch launch(shared);
  launch.config.stream = stream;
  return launched("expert_flow", cudaLaunchKernelEx(&launch.config, expert::kernel<kTiles>, p));
}

}  // namespace pi05::kernels
