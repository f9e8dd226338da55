// Attention on Hopper: wgmma, tiles by TMA, all scores of a block in registers at once.
//
// Query heads that share a key head are rows of one matrix, 64 a warpgroup. The keys of a row are shared out among the
// blocks of a cluster, each with at most 256; a block multiplies its scores with 64 columns of the values at a time and
// sends each such unit (64 rows x 64 columns), through distributed shared memory, to the block of the cluster that adds
// it up, while it multiplies the next.
#include "backend/cuda/kernels/attention_hopper.h"

#include <algorithm>

#include "backend/cuda/kernels/attention_ptx.cuh"
#include "backend/cuda/kernels/device.cuh"

namespace pi05::kernels {
namespace {

using namespace hopper;

constexpr int kMostSplits = 8;  // blocks a cluster
constexpr int kUnits = 8;       // (64 columns, warpgroup): unit 2 * panel + warpgroup
constexpr int kUnitBytes = 64 * 64 * 4;

struct Maps {
  CUtensorMap q, k, v;                 // 64 columns of a head
  CUtensorMap q_rest, k_rest, v_rest;  // the 16 after them, of heads of 80
};

struct Problem {
  bf16* out;
  int64_t out_stride;
  int queries, keys;            // a batch element
  int kv_heads, group, tokens;  // query heads a key head, tokens a warpgroup
  int dim;
  float scale;  // log2(e) / sqrt(dim)
  int splits;
  uint8_t owner[kUnits], slot[kUnits];  // which rank adds a unit up, where the others' parts lie there
};

template <int Dim, int Groups, int Blocks>
struct Tile {
  static constexpr int kThreads = 128 * Groups, kKeys = 64 * Blocks;
  static constexpr int kPanels = Dim / 64;  // of 64 columns
  static constexpr bool kRest = Dim % 64 != 0;
  static_assert(Dim % 64 == 0 || Dim % 64 == 16, "one narrow tile after those of 64 columns");
  static_assert(Dim == 256 || (kPanels == 1 && Groups == 1), "other widths have no clusters");
  static constexpr int kQueryPanel = 64 * 128, kKeyPanel = kKeys * 128, kQueryRest = kRest ? 64 * 32 : 0,
                       kKeyRest = kRest ? kKeys * 32 : 0;
  static constexpr int kQueries = kPanels * kQueryPanel + kQueryRest;  // bytes of a warpgroup
  // Value panels with room of their own; the others overwrite queries, and the first keys, once these have been read.
  static constexpr int kEarly = Dim != 256 ? kPanels : Blocks < 4 ? 2 : 1;
  static constexpr int kValuesAt = Groups * kQueries, kKeysAt = kValuesAt + kEarly * kKeyPanel + kKeyRest;
  static constexpr int kEnd = kKeysAt + kPanels * kKeyPanel + kKeyRest;
  static constexpr int kReceivedAt = kKeysAt + (kEarly + Groups < kPanels ? kKeyPanel : 0);
};

// Before the tiles: barriers, then the others' logarithms of sums, 128 rows each.
constexpr int kSumsAt = 256;
__host__ __device__ constexpr int control_bytes(int splits) { return (kSumsAt + (splits - 1) * 512 + 1023) / 1024 * 1024; }
enum Barrier { kScores = 0, kValues = 4, kSums = 8, kReceived = 9 };
__device__ __forceinline__ uint32_t barrier(uint32_t control, int index) { return control + index * 8; }

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ uint32_t packed(float low, float high) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&both);
}

template <int Dim, int Groups, int Blocks>
__global__ void __launch_bounds__(128 * Groups, 1)
    hopper_kernel(const __grid_constant__ Maps maps, const __grid_constant__ Problem p) {
  using T = Tile<Dim, Groups, Blocks>;
  extern __shared__ __align__(1024) uint8_t shared[];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, own = thread % 128;
  const int group = Groups == 1 ? 0 : __shfl_sync(~0u, thread / 128, 0);  // warpgroup
  const int splits = p.splits, rank = static_cast<int>(blockIdx.x) % splits;
  const int batch = static_cast<int>(blockIdx.y) / p.kv_heads, kv = static_cast<int>(blockIdx.y) % p.kv_heads;
  const int token0 = static_cast<int>(blockIdx.x) / splits * Groups * p.tokens, key0 = rank * T::kKeys;
  const uint32_t control = smem_u32(shared), tiles = control + control_bytes(splits);
  const uint32_t q_own = tiles + group * T::kQueries, k_tile = tiles + T::kKeysAt, v_tile = tiles + T::kValuesAt;
  const uint32_t received = tiles + T::kReceivedAt;
  const int first = T::kPanels == 1 ? 0 : rank + 1;  // each rank takes the columns that it adds up last
  const auto panel_of = [&](int i) { return (first + i) % T::kPanels; };
  const auto home_of = [&](int i) {  // of the i-th value panel
    if (i < T::kEarly) return v_tile + i * T::kKeyPanel;
    if (i < T::kEarly + Groups) return tiles + (i - T::kEarly) * T::kQueries;
    return k_tile;
  };
  const auto load_values = [&](int i) {
    tma_load(home_of(i), &maps.v, panel_of(i) * 64, kv, key0, batch, barrier(control, kValues + i));
  };

  if (thread == 0) {
    tma_prefetch(&maps.q), tma_prefetch(&maps.k), tma_prefetch(&maps.v);
    if (T::kRest) tma_prefetch(&maps.q_rest), tma_prefetch(&maps.k_rest), tma_prefetch(&maps.v_rest);
    for (int i = 0; i < kReceived + 4; i++) mbar_init(barrier(control, i), 1);
    mbar_init_fence();
    const int query_row = 2 * p.group * p.tokens;  // bytes of a column
    for (int i = 0; i < T::kPanels; i++) {
      const uint32_t bar = barrier(control, kScores + i);
      mbar_expect(bar, Groups * query_row * (T::kRest ? 80 : 64) + T::kKeyPanel + T::kKeyRest);
      for (int g = 0; g < Groups; g++)
        tma_load(tiles + g * T::kQueries + i * T::kQueryPanel, &maps.q, i * 64, kv * p.group, token0 + g * p.tokens,
                 batch, bar);
      tma_load(k_tile + i * T::kKeyPanel, &maps.k, i * 64, kv, key0, batch, bar);
      if (T::kRest) {
        tma_load(tiles + T::kQueryPanel, &maps.q_rest, 64, kv * p.group, token0, batch, bar);
        tma_load(k_tile + T::kKeyPanel, &maps.k_rest, 64, kv, key0, batch, bar);
      }
    }
    for (int i = 0; i < T::kPanels; i++) mbar_expect(barrier(control, kValues + i), T::kKeyPanel + T::kKeyRest);
    for (int i = 0; i < T::kEarly; i++) load_values(i);
    if (T::kRest) tma_load(v_tile + T::kKeyPanel, &maps.v_rest, 64, kv, key0, batch, barrier(control, kValues));
    if (splits > 1) {
      mbar_expect(barrier(control, kSums), (splits - 1) * 512);
      for (int u = 0; u < kUnits; u++)
        if (p.owner[u] == rank) mbar_expect(barrier(control, kReceived + p.slot[u]), (splits - 1) * kUnitBytes);
    }
  }
  __syncthreads();

  float score[32 * Blocks];
#pragma unroll
  for (int i = 0; i < T::kPanels; i++) {
    mbar_wait(barrier(control, kScores + i), 0);
    if (i == 0) wgmma_begin();
#pragma unroll
    for (int k = 0; k < 4; k++)
      wgmma<T::kKeys>(score, tile_of(q_own + i * T::kQueryPanel + k * 32), tile_of(k_tile + i * T::kKeyPanel + k * 32),
                      i + k > 0);
    if (T::kRest)
      wgmma<T::kKeys>(score, narrow_tile_of(q_own + T::kQueryPanel), narrow_tile_of(k_tile + T::kKeyPanel), true);
  }
  wgmma_commit();
  wgmma_wait<0>();
  wgmma_done(score);

  if (T::kEarly < T::kPanels) {  // queries have been read
    named_sync(1 + group, 128);
    if (own == 0 && T::kEarly + group < T::kPanels) load_values(T::kEarly + group);
    cluster_arrive();  // keys too, and this block's barriers are there
  }

  if (key0 + T::kKeys > p.keys) {
    const int left = p.keys - key0 - lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 32 * Blocks; i++)
      if (i / 4 * 8 + i % 2 >= left) score[i] = -INFINITY;
  }
  float log_sum[2], inverse[2];
#pragma unroll
  for (int side = 0; side < 2; side++) {
    float most = score[2 * side];
#pragma unroll
    for (int i = 0; i < 8 * Blocks; i++)
      most = fmaxf(most, fmaxf(score[4 * i + 2 * side], score[4 * i + 2 * side + 1]));
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 2)) * p.scale;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 8 * Blocks; i++)
#pragma unroll
      for (int j = 4 * i + 2 * side; j < 4 * i + 2 * side + 2; j++)
        sum += score[j] = exp2_fast(fmaf(score[j], p.scale, -most));
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    inverse[side] = 1 / sum;
    log_sum[side] = most + __log2f(sum);
  }
  uint32_t part[4 * Blocks][4];  // of the whole: rounded, 16 keys each
#pragma unroll
  for (int k = 0; k < 4 * Blocks; k++)
#pragma unroll
    for (int j = 0; j < 4; j++) part[k][j] = packed(score[8 * k + 2 * j], score[8 * k + 2 * j + 1]);

  float sum[T::kPanels][32], rest[8];
  const auto multiply = [&](int i) {
    mbar_wait(barrier(control, kValues + i), 0);
    wgmma_begin();
#pragma unroll
    for (int k = 0; k < 4 * Blocks; k++) {
      wgmma_turned<64>(sum[i], part[k], tile_of(home_of(i) + k * 2048), k > 0);
      if (T::kRest) wgmma_turned<16>(rest, part[k], narrow_tile_of(v_tile + T::kKeyPanel + k * 512), k > 0);
    }
    wgmma_commit();
  };
  const auto unit_of = [&](int i) { return 2 * panel_of(i) + group; };
  // 16 bytes a thread and eighth: the same threads read them.
  const auto place_of = [&](int unit, int from, int to) {
    return received + (p.slot[unit] * (splits - 1) + from - (from > to)) * kUnitBytes + own * 16;
  };
  const auto send = [&](int i) {
    wgmma_done(sum[i]);
    const int unit = unit_of(i), to = p.owner[unit];
    if (to == rank) return;
    const uint32_t at = map_rank(place_of(unit, rank, to), to);
    const uint32_t bar = map_rank(barrier(control, kReceived + p.slot[unit]), to);
#pragma unroll
    for (int j = 0; j < 8; j++)
      st_async(at + j * 2048, sum[i][4 * j] * inverse[0], sum[i][4 * j + 1] * inverse[0], sum[i][4 * j + 2] * inverse[1],
               sum[i][4 * j + 3] * inverse[1], bar);
  };

  multiply(0);
  const int row = own / 32 * 16 + lane / 4;  // of the warpgroup; and 8 rows below
  if constexpr (T::kPanels == 4) {
    if (T::kEarly + Groups > 1) multiply(1);
    cluster_wait();
    if (T::kEarly + Groups < T::kPanels && thread == 0) load_values(3);
    for (int to = lane % 4; to < splits; to += 4)
      if (to != rank) {
        const uint32_t at = map_rank(control + kSumsAt + (rank - (rank > to)) * 512 + (group * 64 + row) * 4, to);
        const uint32_t bar = map_rank(barrier(control, kSums), to);
        st_async(at, log_sum[0], bar), st_async(at + 32, log_sum[1], bar);
      }
    __syncwarp();
    wgmma_wait<1>(), send(0), multiply(2);
    wgmma_wait<1>(), send(1), multiply(3);
    wgmma_wait<1>(), send(2);
    wgmma_wait<0>(), send(3);
  } else {
    wgmma_wait<0>();
    wgmma_done(sum[0]), wgmma_done(rest);
  }

  // Weights of the parts: of this block's sums, and what the others' are multiplied with.
  float base[2] = {log_sum[0], log_sum[1]}, total[2] = {1, 1};
  const auto other_of = [&](int from, int side) {
    return load_shared(control + kSumsAt + from * 512 + (group * 64 + row + 8 * side) * 4);
  };
  if (splits > 1) {
    mbar_wait_cluster(barrier(control, kSums), 0);
#pragma unroll
    for (int side = 0; side < 2; side++) {
      for (int s = 0; s < splits - 1; s++) base[side] = fmaxf(base[side], other_of(s, side));
      total[side] = exp2_fast(log_sum[side] - base[side]);
      inverse[side] *= total[side];
      for (int s = 0; s < splits - 1; s++) total[side] += exp2_fast(other_of(s, side) - base[side]);
      total[side] = 1 / total[side];
      inverse[side] *= total[side];
    }
  }

  bf16* to[2];
  bool there[2];
#pragma unroll
  for (int side = 0; side < 2; side++) {
    const int r = row + 8 * side, of_group = r / p.group, token = token0 + group * p.tokens + of_group;
    there[side] = of_group < p.tokens && token < p.queries;
    to[side] = p.out + (static_cast<int64_t>(batch) * p.queries + token) * p.out_stride +
               (kv * p.group + r - of_group * p.group) * p.dim + lane % 4 * 2;
  }
#pragma unroll
  for (int i = 0; i < T::kPanels; i++) {
    const int unit = unit_of(i);
    if (splits > 1 && p.owner[unit] != rank) continue;
#pragma unroll
    for (int j = 0; j < 32; j++) sum[i][j] *= inverse[j / 2 % 2];
    if (splits > 1) {
      mbar_wait_cluster(barrier(control, kReceived + p.slot[unit]), 0);
      for (int s = 0; s < splits - 1; s++) {
        const float low = exp2_fast(other_of(s, 0) - base[0]) * total[0];
        const float high = exp2_fast(other_of(s, 1) - base[1]) * total[1];
        const uint32_t from = received + (p.slot[unit] * (splits - 1) + s) * kUnitBytes + own * 16;
#pragma unroll
        for (int j = 0; j < 8; j++) {
          const float4 v = load_shared4(from + j * 2048);
          sum[i][4 * j] = fmaf(v.x, low, sum[i][4 * j]), sum[i][4 * j + 1] = fmaf(v.y, low, sum[i][4 * j + 1]);
          sum[i][4 * j + 2] = fmaf(v.z, high, sum[i][4 * j + 2]), sum[i][4 * j + 3] = fmaf(v.w, high, sum[i][4 * j + 3]);
        }
      }
    }
#pragma unroll
    for (int side = 0; side < 2; side++)
      if (there[side])
#pragma unroll
        for (int j = 0; j < 8; j++)
          store2(to[side] + panel_of(i) * 64 + 8 * j, make_float2(sum[i][4 * j + 2 * side], sum[i][4 * j + 2 * side + 1]));
  }
  if (T::kRest)
#pragma unroll
    for (int side = 0; side < 2; side++)
#pragma unroll
      for (int j = 0; j < 2; j++)
        if (there[side] && 64 + 8 * j < p.dim)
          store2(to[side] + 64 + 8 * j,
                 make_float2(rest[4 * j + 2 * side] * inverse[side], rest[4 * j + 2 * side + 1] * inverse[side]));
}

decltype(&cuTensorMapEncodeTiled) encoder() {
  static const auto found = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
#else
    cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &result);
#endif
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  return found;
}

// A head's columns, heads, tokens, batch elements.
cudaError_t encode(CUtensorMap* map, const Matrix& m, int64_t heads, int64_t dim, int64_t batch, int cols, int box_heads,
                   int box_tokens) {
  const auto tokens = static_cast<cuuint64_t>(m.rows / batch);
  const auto row = static_cast<cuuint64_t>(m.stride) * 2;
  const cuuint64_t sizes[4] = {static_cast<cuuint64_t>(dim), static_cast<cuuint64_t>(heads), tokens,
                               static_cast<cuuint64_t>(batch)};
  const cuuint64_t strides[3] = {static_cast<cuuint64_t>(dim) * 2, row, row * tokens};
  const cuuint32_t box[4] = {static_cast<cuuint32_t>(cols), static_cast<cuuint32_t>(box_heads),
                             static_cast<cuuint32_t>(box_tokens), 1};
  const cuuint32_t steps[4] = {1, 1, 1, 1};
  if (!encoder()) return cudaErrorNotSupported;
  const CUresult result = encoder()(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, m.data, sizes, strides, box, steps,
                                    CU_TENSOR_MAP_INTERLEAVE_NONE,
                                    cols == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_32B,
                                    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

template <int Dim, int Groups, int Blocks>
struct Launch {
  using T = Tile<Dim, Groups, Blocks>;

  static int shared(const Problem& p) {
    int most = 0;
    for (int u = 0; u < kUnits; u++) most = std::max<int>(most, p.slot[u] + 1);
    const int received = p.splits == 1 ? 0 : T::kReceivedAt + most * (p.splits - 1) * kUnitBytes;
    return control_bytes(p.splits) + std::max(T::kEnd, received);
  }

  static cudaError_t run(const Problem& p, const Matrix& q, const Matrix& k, const Matrix& v,
                         const AttentionShape& shape, cudaStream_t stream) {
    Maps maps{};
    cudaError_t result = encode(&maps.q, q, shape.heads, p.dim, shape.batch, 64, p.group, p.tokens);
    const auto add = [&](CUtensorMap* map, const Matrix& m, int64_t heads, int cols, int box_heads, int box_tokens) {
      if (result == cudaSuccess) result = encode(map, m, heads, p.dim, shape.batch, cols, box_heads, box_tokens);
    };
    add(&maps.k, k, shape.kv_heads, 64, 1, T::kKeys);
    add(&maps.v, v, shape.kv_heads, 64, 1, T::kKeys);
    if (T::kRest) {
      add(&maps.q_rest, q, shape.heads, 16, p.group, p.tokens);
      add(&maps.k_rest, k, shape.kv_heads, 16, 1, T::kKeys);
      add(&maps.v_rest, v, shape.kv_heads, 16, 1, T::kKeys);
    }
    if (result != cudaSuccess) return result;
    const auto kernel = hopper_kernel<Dim, Groups, Blocks>;
    const int bytes = shared(p);
    result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (result != cudaSuccess) return result;
    cudaLaunchAttribute cluster{};
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = static_cast<unsigned>(p.splits);
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(blocks_for(p.queries, Groups * p.tokens) * static_cast<unsigned>(p.splits),
                          static_cast<unsigned>(shape.batch * shape.kv_heads));
    config.blockDim = T::kThreads;
    config.dynamicSmemBytes = static_cast<size_t>(bytes);
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, kernel, maps, p);
  }
};

// Units go to ranks round and round; a rank's own columns first.
void share_out(Problem& p, int splits) {
  p.splits = splits;
  int owned[kMostSplits]{};
  for (int u = 0; u < kUnits; u++) {
    const int panel = u / 2, owner = splits > 4 ? u % splits : panel < splits ? panel : (panel + u % 2) % splits;
    p.owner[u] = static_cast<uint8_t>(owner);
    p.slot[u] = static_cast<uint8_t>(owned[owner]++);
  }
}

bool is_hopper() {
  int device = 0, major = 0;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major == 9;
}

}  // namespace

bool attention_hopper_fits(const Matrix& k, const AttentionShape& shape) {
  const int64_t group = shape.heads / shape.kv_heads, keys = k.rows / shape.batch;
  if (!is_hopper() || group > 64) return false;
  return shape.head_dim == 256 ? keys <= 1024 : shape.head_dim > 64 && shape.head_dim <= 80 && keys <= 256;
}

cudaError_t attention_hopper(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                             const Matrix& out, cudaStream_t stream) {
  Problem p{};
  p.out = static_cast<bf16*>(out.data), p.out_stride = out.stride;
  p.queries = static_cast<int>(q.rows / shape.batch), p.keys = static_cast<int>(k.rows / shape.batch);
  p.kv_heads = static_cast<int>(shape.kv_heads), p.group = static_cast<int>(shape.heads / shape.kv_heads);
  p.tokens = 64 / p.group, p.dim = static_cast<int>(shape.head_dim);
  p.scale = 1.4426950408889634f / sqrtf(static_cast<float>(shape.head_dim));
  if (p.dim <= 80) {
    share_out(p, 1);
    return Launch<80, 1, 4>::run(p, q, k, v, shape, stream);
  }

  // Whole rounds of all multiprocessors, each as long as its blocks' keys make it (measured).
  int device = 0, limit = 0, processors = 0;
  cudaError_t result = cudaGetDevice(&device);
  if (result == cudaSuccess)
    result = cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (result == cudaSuccess) result = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (result != cudaSuccess) return result;
  const int parts = (p.keys + 63) / 64;
  const int tiles = static_cast<int>(blocks_for(p.queries, 2 * p.tokens) * shape.batch * shape.kv_heads);
  float best = INFINITY;
  cudaError_t (*run)(const Problem&, const Matrix&, const Matrix&, const Matrix&, const AttentionShape&, cudaStream_t);
  Problem chosen{};
  const auto consider = [&](auto launch, int blocks) {
    const int splits = (parts + blocks - 1) / blocks;
    if (splits > kMostSplits) return;
    share_out(p, splits);
    if (launch.shared(p) > limit) return;
    const int rounds = (tiles * splits + processors - 1) / processors;
    const float time = static_cast<float>(rounds) * (3.0f + 1.5f * static_cast<float>(blocks) + (splits > 1 ? 1.0f : 0.0f));
    if (time < best) best = time, run = launch.run, chosen = p;
  };
  consider(Launch<256, 2, 1>{}, 1);
  consider(Launch<256, 2, 2>{}, 2);
  consider(Launch<256, 2, 3>{}, 3);
  consider(Launch<256, 2, 4>{}, 4);
  return best < INFINITY ? run(chosen, q, k, v, shape, stream) : cudaErrorInvalidValue;
}

}  // namespace pi05::kernels
