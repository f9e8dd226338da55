// Launcher of attention_sm90.cuh: assigns units to ranks, makes tensor maps, chooses the number of splits.
#include <algorithm>
#include <array>

#include "backend/cuda/kernels/attention_sm90.cuh"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/kernels/tensor_map.h"

namespace pi05::kernels {
namespace {

using namespace attention_sm90_detail;

// Tensor map with the dimensions columns of a head, heads, tokens, batch elements. A box has `cols` columns (64 or 16),
// box_heads heads, box_tokens tokens.
cudaError_t encode(CUtensorMap* map, const Matrix& m, int64_t heads, int64_t dim, int64_t batch, int cols,
                   int box_heads, int box_tokens) {
  const auto tokens = static_cast<cuuint64_t>(m.rows / batch);
  const auto row_bytes = static_cast<cuuint64_t>(m.stride) * 2;
  const cuuint64_t sizes[4] = {static_cast<cuuint64_t>(dim), static_cast<cuuint64_t>(heads), tokens,
                               static_cast<cuuint64_t>(batch)};
  const cuuint64_t strides[3] = {static_cast<cuuint64_t>(dim) * 2, row_bytes, row_bytes * tokens};
  const cuuint32_t box[4] = {static_cast<cuuint32_t>(cols), static_cast<cuuint32_t>(box_heads),
                             static_cast<cuuint32_t>(box_tokens), 1};
  return encode_tensor_map(m.data, sizes, strides, box,
                           cols == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_32B, map);
}

// Distributes the 8 units evenly among the ranks: with up to 4 splits, rank r has panel r and units of the panels that
// are left. `owned` is in the order in which the rank itself computes the units (panel_of in the kernel).
AttentionSm90Params assign_units(int splits) {
  AttentionSm90Params p{};
  p.splits = splits;
  const auto owner = [&](int unit) {
    const int panel = unit / 2;
    return splits > 4 ? unit % splits : panel < splits ? panel : (panel + unit % 2) % splits;
  };
  for (int rank = 0; rank < splits; rank++)
    for (int i = 0, slot = 0; i < kUnits; i++) {
      const int unit = 2 * ((rank + 1 + i) % 4) + i / 4;
      if (owner(unit) != rank) continue;
      p.owner |= static_cast<uint32_t>(rank) << 4 * unit;
      p.slot |= static_cast<uint32_t>(slot) << 4 * unit;
      p.owned[rank] |= static_cast<uint32_t>(8 + unit) << 4 * slot++;
    }
  return p;
}

template <typename Value, int Dim, int Warpgroups, int KeyTiles>
struct AttentionSm90Launch {
  using T = AttentionSm90Tile<Dim, Warpgroups, KeyTiles>;

  static int shared(const AttentionSm90Params& p) {
    const int units = (kUnits + p.splits - 1) / p.splits;  // of a rank, at most
    return control_bytes(p.splits) + std::max(T::kEnd, Dim == 256 ? T::kPartialsAt + units * p.splits * kUnitBytes : 0);
  }

  static cudaError_t run(const AttentionSm90Params& p, const Matrix& q, const Matrix& k, const Matrix& v,
                         const AttentionShape& shape, cudaStream_t stream) {
    AttentionSm90Maps maps{};
    cudaError_t result = encode(&maps.q, q, shape.heads, p.dim, shape.batch, 64, p.heads_per_kv, p.tokens);
    const auto add = [&](CUtensorMap* map, const Matrix& m, int64_t heads, int cols, int box_heads, int box_tokens) {
      if (result == cudaSuccess) result = encode(map, m, heads, p.dim, shape.batch, cols, box_heads, box_tokens);
    };
    add(&maps.k, k, shape.kv_heads, 64, 1, T::kKeys);
    add(&maps.v, v, shape.kv_heads, 64, 1, T::kKeys);
    if (T::kRest) {
      add(&maps.q_rest, q, shape.heads, 16, p.heads_per_kv, p.tokens);
      add(&maps.k_rest, k, shape.kv_heads, 16, 1, T::kKeys);
      add(&maps.v_rest, v, shape.kv_heads, 16, 1, T::kKeys);
    }
    if (result != cudaSuccess) return result;
    Configuration configuration(p);
    result = configuration.result;
    if (result != cudaSuccess) return result;
    configuration.launch.gridDim = dim3(blocks_for(p.queries, Warpgroups * p.tokens) * static_cast<unsigned>(p.splits),
                                        static_cast<unsigned>(shape.batch * shape.kv_heads));
    configuration.launch.stream = stream;
    return cudaLaunchKernelEx(&configuration.launch, attention_sm90_kernel<Value, Dim, Warpgroups, KeyTiles>, maps, p);
  }

  // Number of clusters of `splits` blocks that the GPU runs at once.
  static int clusters(int splits) {
    static const auto known = [] {
      std::array<int, kMaxSplits + 1> counts{};
      for (int s = 1; s <= kMaxSplits; s++) {
        const AttentionSm90Params p = assign_units(s);
        Configuration configuration(p);
        if (shared(p) > gpu().shared_memory_per_block || configuration.result != cudaSuccess ||
            cudaOccupancyMaxActiveClusters(&counts[s], attention_sm90_kernel<Value, Dim, Warpgroups, KeyTiles>,
                                           &configuration.launch) != cudaSuccess)
          cudaGetLastError(), counts[s] = 0;  // clear the error: the next launch must not report it
      }
      return counts;
    }();
    return known[splits];
  }

  struct Configuration {
    explicit Configuration(const AttentionSm90Params& p) {
      attributes[0].id = cudaLaunchAttributeClusterDimension;
      attributes[0].val.clusterDim.x = static_cast<unsigned>(p.splits);
      attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
      attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      attributes[1].val.programmaticStreamSerializationAllowed = 1;
      launch.gridDim = static_cast<unsigned>(p.splits);
      launch.blockDim = T::kThreads;
      launch.dynamicSmemBytes = static_cast<size_t>(shared(p));
      launch.attrs = attributes;
      launch.numAttrs = 2;
      result = cudaFuncSetAttribute(attention_sm90_kernel<Value, Dim, Warpgroups, KeyTiles>,
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, gpu().shared_memory_per_block);
    }
    cudaLaunchAttribute attributes[2]{};
    cudaLaunchConfig_t launch{};
    cudaError_t result;
  };
};

}  // namespace

bool attention_sm90_supported(const Matrix& k, const AttentionShape& shape) {
  if (!gpu().is_sm90() || shape.heads / shape.kv_heads > 64) return false;
  const int64_t keys = k.rows / shape.batch;
  return k.dtype == DType::BF16 ? shape.head_dim == 256 && keys <= 1024
                                : shape.head_dim > 64 && shape.head_dim <= 80 && keys <= 256;
}

cudaError_t attention_sm90(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                           const Matrix& out, cudaStream_t stream) {
  const auto params_for = [&](int splits) {
    AttentionSm90Params p = assign_units(splits);
    p.out = out.data, p.out_stride = out.stride;
    p.queries = static_cast<int>(q.rows / shape.batch), p.keys = static_cast<int>(k.rows / shape.batch);
    p.kv_heads = static_cast<int>(shape.kv_heads), p.heads_per_kv = static_cast<int>(shape.heads / shape.kv_heads);
    p.heads_per_kv_inverse = static_cast<uint32_t>(65536 / p.heads_per_kv + 1);
    p.tokens = 64 / p.heads_per_kv, p.dim = static_cast<int>(shape.head_dim);
    p.scale = kLog2E / sqrtf(static_cast<float>(shape.head_dim));
    return p;
  };
  AttentionSm90Params p = params_for(1);
  if (p.dim <= 80) return AttentionSm90Launch<fp16, 80, 1, 4>::run(p, q, k, v, shape, stream);

  // The fastest tile by estimated time: waves of clusters, times the cost of a block with so many keys (measured).
  const int64_t query_tiles = blocks_for(p.queries, 2 * p.tokens) * shape.batch * shape.kv_heads;
  const int key_tiles = (p.keys + 63) / 64;
  float best = INFINITY;
  decltype(&AttentionSm90Launch<bf16, 256, 2, 1>::run) run = nullptr;
  const auto consider = [&](auto launch, int block_key_tiles) {
    const int splits = (key_tiles + block_key_tiles - 1) / block_key_tiles;
    const int clusters = splits <= kMaxSplits ? launch.clusters(splits) : 0;
    if (clusters == 0) return;
    const float time = static_cast<float>((query_tiles + clusters - 1) / clusters) *
                       (4.0f + 1.2f * static_cast<float>(block_key_tiles));
    if (time < best) best = time, run = launch.run, p = params_for(splits);
  };
  consider(AttentionSm90Launch<bf16, 256, 2, 1>{}, 1);
  consider(AttentionSm90Launch<bf16, 256, 2, 2>{}, 2);
  consider(AttentionSm90Launch<bf16, 256, 2, 3>{}, 3);
  consider(AttentionSm90Launch<bf16, 256, 2, 4>{}, 4);
  return run ? run(p, q, k, v, shape, stream) : cudaErrorNotSupported;
}

}  // namespace pi05::kernels
