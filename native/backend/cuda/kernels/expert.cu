#include "backend/cuda/kernels/expert.h"
#include "backend/cuda/launch_log.h"

#include <algorithm>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/expert_persistent.cuh"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/tensor_map.h"

namespace pi05::kernels {
namespace {

constexpr int kTiles = 9, kClusters = 15;  // 120 blocks own 128 tiles of residual columns
constexpr int kBlocks = kClusters * expert::kCluster;
constexpr int kInFlight = 2;  // measured: more delays what blocks tell each other
constexpr int kMostPrefix = 8 * (expert::kMaxKeys - 2);

using Plan = expert::Plan<kTiles>;
using Layout = expert::Layout<kTiles>;
using Ring = expert::Ring<kTiles>;

// What one block streams in one layer, element by element: q (or k, v), o, gate and up, down.
__global__ void pack_kernel(uint8_t* packed, const bf16* qkv, const bf16* o, const bf16* gate_up, const bf16* down) {
  const int block = static_cast<int>(blockIdx.x), rank = block % 8, cluster = block / 8;
  const bool has_head = cluster < expert::kHeads;
  const int64_t first = static_cast<int64_t>(has_head ? Plan::kQueryChunks : Plan::kKvChunks) * Plan::kChunk1 / 2;
  const int64_t out = first + static_cast<int64_t>(Plan::kOutChunks) * Plan::kChunk2 / 2;
  const int64_t up = out + static_cast<int64_t>(Plan::kUpChunks) * Plan::kChunk1 / 2;
  const int64_t end = up + static_cast<int64_t>(Plan::kDownChunks) * Plan::kChunk2 / 2;
  bf16* const to = reinterpret_cast<bf16*>(packed + block * Plan::kLayerBytes);
  for (int64_t e = blockIdx.y * static_cast<int64_t>(blockDim.x) + threadIdx.x; e < end;
       e += static_cast<int64_t>(gridDim.y) * blockDim.x) {
    const bool is_first = e < first, is_out = !is_first && e < out, is_up = !is_first && !is_out && e < up;
    const int at = static_cast<int>(e - (is_first ? 0 : is_out ? first : is_up ? out : up));
    const int tiles = is_first ? (has_head ? Plan::kQuery : Plan::kKv) : kTiles;
    const int held = is_first || is_up ? Plan::kQ1 : Plan::kQ2;  // tiles a chunk and warp
    const int blocks = is_first || is_up ? 4 : is_out ? 1 : 2;   // of 32 inputs a warp
    const int chunk = at / (held * 2048), rest = at % (held * 2048), warp = rest / (held * 256);
    const int index = chunk * held + rest / 256 % held, tile = index % tiles;
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

struct Launch {
  explicit Launch(int shared) {
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

// Stages that fit beside the rest; a layer's keys must fit into them.
int stages_for(int shared) { return std::min(expert::kMaxStages, (shared - Ring::kOffset) / Layout::kStage); }

// How TMA sees one layer's keys or values after another: a box is a page of all 256 columns, 64 at a time. Rows behind
// the prefix read as zeros.
bool page_map(void* cache, int64_t capacity, const ExpertFlow& flow, CUtensorMap* map) {
  const auto encode = tensor_map_encoder();
  const cuuint64_t sizes[] = {64, static_cast<cuuint64_t>(flow.prefix_tokens), 4, static_cast<cuuint64_t>(flow.layers)};
  const cuuint64_t strides[] = {512, 128, static_cast<cuuint64_t>(capacity) * 512};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(expert::kPage), 4, 1}, steps[] = {1, 1, 1, 1};
  return encode && encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, cache, sizes, strides, box, steps,
                          CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                          CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

int shared_bytes(int stages) { return Ring::kOffset + stages * Layout::kStage; }

}  // namespace

bool expert_flow_supported(const Dimensions& dims) {
  const auto& e = dims.expert;
  if (e.width != expert::kWidth || e.heads != expert::kHeads || e.kv_heads != 1 || e.head_dim != expert::kDim ||
      e.mlp != expert::kMlp || dims.action_dim != expert::kActionDim || dims.horizon > expert::kRows ||
      dims.max_prefix() > kMostPrefix)
    return false;
  if (!gpu().is_hopper() || !tensor_map_encoder()) return false;
  const int stages = stages_for(gpu().shared_memory_per_block);
  const int64_t keys = (dims.max_prefix() + 7) / 8 + 2;  // of a block: its part of the prefix, two action rows
  if (stages < (keys + expert::kPage - 1) / expert::kPage) return false;
  const int shared = shared_bytes(stages);
  if (cudaFuncSetAttribute(expert::kernel<kTiles>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared) !=
      cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  Launch launch(shared);
  launch.config.numAttrs = 1;
  int clusters = 0;
  const cudaError_t result = cudaOccupancyMaxActiveClusters(&clusters, expert::kernel<kTiles>, &launch.config);
  if (result != cudaSuccess) cudaGetLastError();
  return result == cudaSuccess && clusters >= kClusters;
}

int64_t expert_weight_bytes(int64_t layers) { return layers * kBlocks * static_cast<int64_t>(Plan::kLayerBytes); }

int64_t expert_exchange_bytes() { return 2 * static_cast<int64_t>(sizeof(expert::Mail)); }

cudaError_t pack_expert(int64_t layer, const Tensor& qkv, const Tensor& o, const Tensor& gate_up, const Tensor& down,
                        void* packed, cudaStream_t stream) {
  const auto is = [](const Tensor& t, int64_t rows, int64_t cols) {
    return t.dtype == DType::BF16 && t.rows == rows && t.cols == cols;
  };
  if (!is(qkv, 2560, 1024) || !is(o, 1024, 2048) || !is(gate_up, 8192, 1024) || !is(down, 1024, 4096))
    return cudaErrorInvalidValue;
  pack_kernel<<<dim3(kBlocks, 8), 256, 0, stream>>>(
      static_cast<uint8_t*>(packed) + layer * kBlocks * static_cast<int64_t>(Plan::kLayerBytes),
      static_cast<const bf16*>(qkv.data), static_cast<const bf16*>(o.data), static_cast<const bf16*>(gate_up.data),
      static_cast<const bf16*>(down.data));
  return cudaGetLastError();
}

cudaError_t expert_flow(const ExpertFlow& flow, const Inputs& in, const Cache& cache, const Matrix& modulation,
                        const Matrix& x, const Matrix& velocities, cudaStream_t stream) {
  if (x.rows > expert::kRows || x.cols != expert::kActionDim || x.stride != x.cols || velocities.stride != x.cols ||
      cache.k.dtype != DType::BF16 || cache.k.stride != expert::kDim || cache.v.stride != expert::kDim ||
      modulation.stride != (2 * flow.layers + 1) * 3 * expert::kWidth || flow.prefix_tokens > kMostPrefix)
    return cudaErrorInvalidValue;
  expert::Params p{};
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
  p.noise = in.noise, p.previous = in.prev_chunk, p.pull = in.prefix_weights, p.guidance = in.guidance_weights,
  p.times = in.times;
  p.actions = static_cast<float*>(x.data);
  p.velocities = static_cast<float*>(velocities.data);
  p.dt = static_cast<float>(-1.0 / static_cast<double>(flow.steps));
  p.mail = static_cast<expert::Mail*>(flow.exchange);

  cudaError_t result = cudaMemsetAsync(flow.exchange, 0xff, static_cast<size_t>(expert_exchange_bytes()), stream);
  if (result != cudaSuccess) return result;
  const int shared = shared_bytes(p.stages);
  result = cudaFuncSetAttribute(expert::kernel<kTiles>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  if (result != cudaSuccess) return result;
  Launch launch(shared);
  launch.config.stream = stream;
  return launched("expert_flow", cudaLaunchKernelEx(&launch.config, expert::kernel<kTiles>, p));
}

}  // namespace pi05::kernels
