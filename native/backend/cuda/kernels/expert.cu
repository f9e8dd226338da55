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

constexpr int kClusters = 15;   // as many as an H200 (132 multiprocessors) runs at once
constexpr int kOwnedTiles = 9;  // kResidualTiles / kClusters, rounded up
constexpr int kBlocks = kClusters * expert::kCluster;
constexpr int kMaxLoads = 2;  // pipeline stages being loaded at once; more delay the exchange between blocks (measured)
constexpr int kMaxPrefix = expert::kCluster * (expert::kMaxKeys - 2);  // each rank has two action rows

using Weights = expert::WeightLayout<kOwnedTiles>;
using Shared = expert::SharedLayout<kOwnedTiles>;

// Packs one layer into `packed` (blocks, kLayerBytes). Blocks (b, 0 to 7) of the grid write what block b of the
// persistent kernel streams, in this order: q (or k and v), o, gate and up, down; see WeightLayout. One element per
// thread and iteration.
__global__ void pack_kernel(uint8_t* packed, const bf16* qkv, const bf16* o, const bf16* gate_up, const bf16* down) {
  using expert::kCluster, expert::kDim, expert::kHeadBlocks, expert::kHeads, expert::kKvTiles, expert::kMlp,
      expert::kMlpTiles, expert::kResidualTiles, expert::kWidth;
  constexpr int kKeyRow = kHeads * kDim, kValueRow = kKeyRow + kDim;  // rows of qkv: queries, keys, values
  const int block = static_cast<int>(blockIdx.x), rank = block % kCluster, cluster = block / kCluster;
  const bool has_head = cluster < kHeads;
  // Elements at which the parts of the block's weights end.
  const int64_t qkv_end =
      static_cast<int64_t>(has_head ? Weights::kQueryChunks : Weights::kKvChunks) * Weights::kWideBytes / 2;
  const int64_t o_end = qkv_end + static_cast<int64_t>(Weights::kOutChunks) * Weights::kSplitBytes / 2;
  const int64_t up_end = o_end + static_cast<int64_t>(Weights::kUpChunks) * Weights::kWideBytes / 2;
  const int64_t end = up_end + static_cast<int64_t>(Weights::kDownChunks) * Weights::kSplitBytes / 2;
  bf16* const block_weights = reinterpret_cast<bf16*>(packed + block * Weights::kLayerBytes);
  for (int64_t e = blockIdx.y * static_cast<int64_t>(blockDim.x) + threadIdx.x; e < end;
       e += static_cast<int64_t>(gridDim.y) * blockDim.x) {
    const bool is_qkv = e < qkv_end, is_o = !is_qkv && e < o_end, is_up = !is_qkv && !is_o && e < up_end;
    const int offset = static_cast<int>(e - (is_qkv ? 0 : is_o ? qkv_end : is_up ? o_end : up_end));
    const int tiles = is_qkv ? (has_head ? Weights::kQueryTiles : Weights::kBlockKvTiles) : kOwnedTiles;
    const int warp_tiles = is_qkv || is_up ? Weights::kWideTiles : Weights::kSplitTiles;  // per chunk
    const int warp_inputs = is_qkv || is_up ? 4 : is_o ? 1 : 2;                           // blocks of 32
    const int chunk = offset / (warp_tiles * 2048), rest = offset % (warp_tiles * 2048);
    const int warp = rest / (warp_tiles * 256);
    const int index = chunk * warp_tiles + rest / 256 % warp_tiles, tile = index % tiles;
    const int row = rest / 32 % 8, k = (warp * warp_inputs + index / tiles) * 32 + rest % 32;
    // q, k, v and gate+up: output 2 i of a tile comes from the first half of the head or from gate, output 2 i + 1 from
    // the second half or from up.
    const int pair = row / 2, second = row % 2;

    bf16 value = narrow<bf16>(0.0f);
    if (is_qkv && has_head) {
      value = qkv[(cluster * kDim + rank * 16 + 4 * tile + pair + second * (kDim / 2)) * kWidth + k];
    } else if (is_qkv) {
      const int kv_tile = block - kHeadBlocks + tile * (kBlocks - kHeadBlocks);
      const int column = kv_tile % 32 * 4 + pair + second * (kDim / 2);
      if (kv_tile < kKvTiles) value = qkv[((kv_tile < 32 ? kKeyRow : kValueRow) + column) * kWidth + k];
    } else if (is_up) {
      const int mlp_tile = block + tile * kBlocks;
      if (mlp_tile < kMlpTiles) value = gate_up[(mlp_tile * 4 + pair + second * kMlp) * kWidth + k];
    } else {
      const int residual_tile = cluster + tile * kClusters;
      if (residual_tile < kResidualTiles)
        value = is_o ? o[(residual_tile * 8 + row) * kKeyRow + rank * kDim + k]
                     : down[(residual_tile * 8 + row) * kMlp + rank * (kMlp / kCluster) + k];
    }
    block_weights[e] = value;
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

// A kernel with the pipeline stages that fit into shared memory.
struct Variant {
  explicit Variant(bool frozen_rows)
      : kernel(frozen_rows ? expert::kernel<kOwnedTiles, true> : expert::kernel<kOwnedTiles, false>),
        ring_at(Shared::ring_at(frozen_rows)),
        stages(std::min(expert::kMaxStages, (gpu().shared_memory_per_block - ring_at) / Shared::kStageBytes)),
        shared_bytes(ring_at + stages * Shared::kStageBytes) {}
  cudaError_t allow_shared_memory() const {
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  }
  void (*kernel)(expert::KernelParams);
  int ring_at, stages, shared_bytes;
};

// Tensor map of the cache's keys or values: (layers, 4, prefix tokens, 64 columns). A box is a page: kPage tokens with
// all 256 columns. Rows after the prefix are filled with zeros.
cudaError_t page_map(void* cache, int64_t capacity, const ExpertFlow& flow, CUtensorMap* map) {
  const cuuint64_t sizes[] = {64, static_cast<cuuint64_t>(flow.prefix_tokens), 4, static_cast<cuuint64_t>(flow.layers)};
  constexpr int kRowBytes = expert::kDim * 2;
  const cuuint64_t strides[] = {kRowBytes, 64 * 2, static_cast<cuuint64_t>(capacity) * kRowBytes};
  const cuuint32_t box[] = {64, static_cast<cuuint32_t>(expert::kPage), 4, 1};
  return encode_tensor_map(cache, sizes, strides, box, CU_TENSOR_MAP_SWIZZLE_128B, map);
}

}  // namespace

bool expert_flow_supported(const Dimensions& dims) {
  const auto& e = dims.expert;
  if (e.width != expert::kWidth || e.heads != expert::kHeads || e.kv_heads != 1 || e.head_dim != expert::kDim ||
      e.mlp != expert::kMlp || dims.action_dim != expert::kActionDim || dims.horizon > expert::kRows ||
      dims.max_prefix() > kMaxPrefix)
    return false;
  if (!gpu().is_sm90() || !tensor_map_encoder()) return false;
  const int64_t keys = (dims.max_prefix() + 7) / 8 + 2;  // of a block: its part of the prefix and two action rows
  for (const bool frozen_rows : {false, true}) {
    const Variant variant(frozen_rows);
    // All pages of a layer must be in the pipeline at once.
    if (variant.stages < (keys + expert::kPage - 1) / expert::kPage) return false;
    ExpertLaunch launch(variant.shared_bytes);
    launch.config.numAttrs = 1;  // the cluster size is all that the query needs
    int clusters = 0;
    cudaError_t result = variant.allow_shared_memory();
    if (result == cudaSuccess) result = cudaOccupancyMaxActiveClusters(&clusters, variant.kernel, &launch.config);
    if (result != cudaSuccess) cudaGetLastError();
    if (result != cudaSuccess || clusters < kClusters) return false;
  }
  return true;
}

int64_t expert_weight_bytes(int64_t layers) { return layers * kBlocks * static_cast<int64_t>(Weights::kLayerBytes); }

int64_t expert_exchange_bytes() { return 2 * static_cast<int64_t>(sizeof(expert::ExchangeBuffer)); }

cudaError_t pack_expert(int64_t layer, const Tensor& qkv, const Tensor& o, const Tensor& gate_up, const Tensor& down,
                        void* packed, cudaStream_t stream) {
  const auto has_shape = [](const Tensor& t, int64_t rows, int64_t cols) {
    return t.dtype == DType::BF16 && t.rows == rows && t.cols == cols;
  };
  if (!has_shape(qkv, 2560, 1024) || !has_shape(o, 1024, 2048) || !has_shape(gate_up, 8192, 1024) ||
      !has_shape(down, 1024, 4096))
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
  cudaError_t result = page_map(cache.k.data, cache.capacity, flow, &p.keys);
  if (result == cudaSuccess) result = page_map(cache.v.data, cache.capacity, flow, &p.values);
  if (result != cudaSuccess) return result;
  p.prefix_tokens = static_cast<int>(flow.prefix_tokens);
  const Variant variant(flow.frozen_rows);
  p.clusters = kClusters;
  p.ring_at = variant.ring_at;
  p.stages = variant.stages;
  p.max_loads = std::min(kMaxLoads, p.stages);
  p.layers = static_cast<int>(flow.layers), p.steps = static_cast<int>(flow.steps), p.rows = static_cast<int>(x.rows);
  p.modulation = static_cast<const float*>(modulation.data);
  p.action_in = flow.action_in, p.action_in_bias = flow.action_in_bias, p.action_out = flow.action_out,
  p.action_out_bias = flow.action_out_bias;
  p.noise = in.noise, p.prev_chunk = in.prev_chunk, p.frozen_mask = in.frozen_mask,
  p.prefix_weights = in.prefix_weights, p.guidance_weights = in.guidance_weights, p.times = in.times;
  p.actions = static_cast<float*>(x.data);
  p.velocities = static_cast<float*>(velocities.data);
  p.dt = static_cast<float>(-1.0 / static_cast<double>(flow.steps));
  p.exchange = static_cast<expert::ExchangeBuffer*>(flow.exchange);

  result = cudaMemsetAsync(flow.exchange, 0xff /* kEmpty */, static_cast<size_t>(expert_exchange_bytes()), stream);
  if (result != cudaSuccess) return result;
  result = variant.allow_shared_memory();
  if (result != cudaSuccess) return result;
  ExpertLaunch launch(variant.shared_bytes);
  launch.config.stream = stream;
  return launched("expert_flow", cudaLaunchKernelEx(&launch.config, variant.kernel, p));
}

}  // namespace pi05::kernels
