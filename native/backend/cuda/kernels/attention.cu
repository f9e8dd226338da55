// Attention in bf16 or fp16 on tensor cores (mma), online softmax in fp32. Compute capability 8.0 and newer.
//
// Launch: grid (row tiles, batch * kv_heads, splits). The query heads that share a key head are rows of one matrix, 16
// per warp. Warps with the same rows split the keys of a kv tile and are combined at the end. With few rows the keys
// are also split among blocks, and combine_kernel adds the partial results in a fixed order.
#include <algorithm>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/kernels/ptx_sm80.cuh"
#include "backend/cuda/launch_log.h"

namespace pi05::kernels {
namespace {

struct AttentionParams {
  const void *q, *k, *v;  // (batch * queries, heads * dim), (batch * keys, kv_heads * dim) twice
  void* out;              // (batch * queries, heads * dim)
  int64_t q_stride, k_stride, v_stride, out_stride;
  int queries, keys;           // per batch element
  int kv_heads, heads_per_kv;  // key heads, query heads per key head
  int dim;
  float scale;             // log2(e) / sqrt(dim)
  int splits, split_keys;  // blocks that split the keys, keys per split
  float* partial;          // (splits, batch * kv_heads, queries * heads_per_kv, dim) unnormalised
  float2* stats;           // (splits, batch * kv_heads, queries * heads_per_kv) maximum and sum
};

// Dim: head_dim, rounded up. A block has RowParts * KeyParts warps. A kv tile has WarpKeys keys for each key part.
// Stages: kv tiles in shared memory.
template <int Dim, int RowParts, int KeyParts, int WarpKeys, int Stages>
struct AttentionTile {
  static constexpr int kRows = 16 * RowParts, kKeys = WarpKeys * KeyParts;
  static constexpr int kThreads = 32 * RowParts * KeyParts;
  static constexpr int kStride = Dim + 8;  // padded by 16 bytes against bank conflicts
  static constexpr int kQueryBytes = kRows * kStride * 2, kKeyBytes = kKeys * kStride * 2;
  static constexpr int kShared = kQueryBytes + 2 * Stages * kKeyBytes;
  static constexpr int kSumBytes = kRows * Dim * 4;  // unnormalised output of one key part
  static_assert((KeyParts - 1) * (kSumBytes + kRows * 8) <= kShared, "shared memory to add the key parts");
};

template <typename Value, int Dim, int RowParts, int KeyParts, int WarpKeys, int Stages>
__global__ void __launch_bounds__(AttentionTile<Dim, RowParts, KeyParts, WarpKeys, Stages>::kThreads, 1)
    attention_kernel(const __grid_constant__ AttentionParams p) {
  using T = AttentionTile<Dim, RowParts, KeyParts, WarpKeys, Stages>;
  extern __shared__ __align__(128) uint8_t shared[];
  const uint32_t q_tile = ptx::smem_address(shared), tiles = q_tile + T::kQueryBytes;  // (stage, keys | values)
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int row_part = warp % RowParts, key_part = warp / RowParts;
  const int rows = p.queries * p.heads_per_kv, row0 = static_cast<int>(blockIdx.x) * T::kRows;
  const int batch = static_cast<int>(blockIdx.y) / p.kv_heads, kv = static_cast<int>(blockIdx.y) % p.kv_heads;
  const int key0 = static_cast<int>(blockIdx.z) * p.split_keys, key_end = min(key0 + p.split_keys, p.keys);
  const int chunks = p.dim / 8;  // of 16 bytes per row
  constexpr int kChunks = Dim / 8;

  // Offset of a query row in q or out, within its batch element (fewer than 2^31 elements). Divides, so once per row.
  const auto offset_of = [&](int row, int stride) {
    const int token = row / p.heads_per_kv;
    return token * stride + (kv * p.heads_per_kv + row - token * p.heads_per_kv) * p.dim;
  };
  const auto* const queries = static_cast<const Value*>(p.q) + static_cast<int64_t>(batch) * p.queries * p.q_stride;
  const int q_stride = static_cast<int>(p.q_stride), k_stride = static_cast<int>(p.k_stride);
  const int v_stride = static_cast<int>(p.v_stride);
  const int64_t first_key = static_cast<int64_t>(batch) * p.keys;
  const auto* const keys = static_cast<const Value*>(p.k) + first_key * p.k_stride + kv * p.dim;
  const auto* const values = static_cast<const Value*>(p.v) + first_key * p.v_stride + kv * p.dim;
  const auto load = [&](int stage, int first) {
    const uint32_t k_tile = tiles + stage * 2 * T::kKeyBytes, v_tile = k_tile + T::kKeyBytes;
#pragma unroll
    for (int i = thread; i < T::kKeys * kChunks; i += T::kThreads) {
      const int row = i / kChunks, chunk = i % kChunks, key = first + row;
      const bool valid = chunk < chunks && key < key_end;
      const int offset = row * T::kStride + chunk * 8;
      ptx::cp_async_16_zfill(k_tile + offset * 2, keys + (valid ? key * k_stride + chunk * 8 : 0), valid);
      ptx::cp_async_16_zfill(v_tile + offset * 2, values + (valid ? key * v_stride + chunk * 8 : 0), valid);
    }
    ptx::cp_async_commit_group();
  };

  for (int i = thread; i < T::kRows * kChunks; i += T::kThreads) {
    const int row = row0 + i / kChunks, chunk = i % kChunks;
    const bool valid = chunk < chunks && row < rows;
    const int offset = offset_of(row, q_stride) + chunk * 8;
    ptx::cp_async_16_zfill(q_tile + (i / kChunks * T::kStride + chunk * 8) * 2, queries + (valid ? offset : 0), valid);
  }
  for (int stage = 0; stage < Stages - 1; stage++)
    load(stage, key0 + stage * T::kKeys);  // the first cp.async group has the queries too

  float out[Dim / 8][4] = {};
  float row_max[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};  // by `side`: of rows lane / 4 and lane / 4 + 8
  // Row addresses for ldmatrix: of q, and offsets within a kv tile.
  const uint32_t q_row = q_tile + ((row_part * 16 + lane % 16) * T::kStride + lane / 16 * 8) * 2;
  const uint32_t k_offset = ((key_part * WarpKeys + lane % 8 + lane / 16 * 8) * T::kStride + lane / 8 % 2 * 8) * 2;
  const uint32_t v_offset = ((key_part * WarpKeys + lane % 8 + lane / 8 % 2 * 8) * T::kStride + lane / 16 * 8) * 2;

  int stage = 0;
  for (int key = key0; key < key_end; key += T::kKeys) {
    if (Stages == 1) {
      __syncthreads();  // the previous kv tile has been read
      load(0, key);
      ptx::cp_async_wait_group<0>();
      __syncthreads();
    } else {
      ptx::cp_async_wait_group<(Stages > 2 ? Stages - 2 : 0)>();
      __syncthreads();  // this kv tile has arrived, and the previous one has been read
      load(stage == 0 ? Stages - 1 : stage - 1, key + (Stages - 1) * T::kKeys);
    }
    const uint32_t k_row = tiles + stage * 2 * T::kKeyBytes + k_offset;
    const uint32_t v_row = tiles + stage * 2 * T::kKeyBytes + T::kKeyBytes + v_offset;
    stage = stage + 1 == Stages ? 0 : stage + 1;

    float score[WarpKeys / 8][4] = {};
#pragma unroll
    for (int d = 0; d < Dim; d += 16) {
      uint32_t a[4];
      ptx::ldmatrix(a, q_row + d * 2);
#pragma unroll
      for (int n = 0; n < WarpKeys / 16; n++) {
        uint32_t b[4];
        ptx::ldmatrix(b, k_row + (n * 16 * T::kStride + d) * 2);
        ptx::mma<Value>(score[2 * n], a, b[0], b[1]);
        ptx::mma<Value>(score[2 * n + 1], a, b[2], b[3]);
      }
    }

    const int lane_key = key + key_part * WarpKeys + lane % 4 * 2;  // of this lane's first score
#pragma unroll
    for (int n = 0; n < WarpKeys / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) score[n][i] = lane_key + n * 8 + i % 2 < key_end ? score[n][i] * p.scale : -INFINITY;
#pragma unroll
    for (int side = 0; side < 2; side++) {
      float new_max = row_max[side];
#pragma unroll
      for (int n = 0; n < WarpKeys / 8; n++)
        new_max = fmaxf(new_max, fmaxf(score[n][2 * side], score[n][2 * side + 1]));
      new_max = fmaxf(new_max, __shfl_xor_sync(~0u, new_max, 1));
      new_max = fmaxf(new_max, __shfl_xor_sync(~0u, new_max, 2));
      const float base = new_max == -INFINITY ? 0.0f : new_max;  // -INFINITY: this key part had no key yet
      const float rescale = exp2f(row_max[side] - base);
      row_max[side] = new_max;
      float added = 0;
#pragma unroll
      for (int n = 0; n < WarpKeys / 8; n++)
#pragma unroll
        for (int i = 2 * side; i < 2 * side + 2; i++) added += score[n][i] = exp2f(score[n][i] - base);
      sum[side] = sum[side] * rescale + added;
      if (__any_sync(~0u, rescale != 1.0f)) {
#pragma unroll
        for (int n = 0; n < Dim / 8; n++) out[n][2 * side] *= rescale, out[n][2 * side + 1] *= rescale;
      }
    }

#pragma unroll
    for (int k = 0; k < WarpKeys / 16; k++) {
      const float (&low)[4] = score[2 * k], (&high)[4] = score[2 * k + 1];
      const uint32_t a[4] = {packed<Value>(low[0], low[1]), packed<Value>(low[2], low[3]),
                             packed<Value>(high[0], high[1]), packed<Value>(high[2], high[3])};
#pragma unroll
      for (int d = 0; d < Dim; d += 16) {
        uint32_t b[4];
        ptx::ldmatrix_trans(b, v_row + (k * 16 * T::kStride + d) * 2);
        ptx::mma<Value>(out[d / 8], a, b[0], b[1]);
        ptx::mma<Value>(out[d / 8 + 1], a, b[2], b[3]);
      }
    }
  }
  ptx::cp_async_wait_group<0>();
#pragma unroll
  for (int side = 0; side < 2; side++) {
    sum[side] += __shfl_xor_sync(~0u, sum[side], 1);
    sum[side] += __shfl_xor_sync(~0u, sum[side], 2);
  }

  if (KeyParts > 1) {  // the first key part, which always has a key, adds the others in order
    __syncthreads();
    const auto sums_of = [&](int part) {  // (row part, value, lane)
      return reinterpret_cast<float*>(shared + (part - 1) * T::kSumBytes) + row_part * Dim / 2 * 32 + lane;
    };
    const auto stats_of = [&](int part) {
      return reinterpret_cast<float2*>(shared + (KeyParts - 1) * T::kSumBytes) + (part - 1) * T::kRows + row_part * 16 +
             lane / 4;
    };
    if (key_part > 0) {
      float* const sums = sums_of(key_part);
#pragma unroll
      for (int n = 0; n < Dim / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) sums[(n * 4 + i) * 32] = out[n][i];
      if (lane % 4 == 0)
        for (int side = 0; side < 2; side++) stats_of(key_part)[8 * side] = make_float2(row_max[side], sum[side]);
    }
    __syncthreads();
    if (key_part > 0) return;
#pragma unroll
    for (int part = 1; part < KeyParts; part++)
#pragma unroll
      for (int side = 0; side < 2; side++) {
        const float2 other = stats_of(part)[8 * side];
        const float new_max = fmaxf(row_max[side], other.x);
        const float rescale = exp2f(row_max[side] - new_max), other_rescale = exp2f(other.x - new_max);
        row_max[side] = new_max;
        sum[side] = sum[side] * rescale + other.y * other_rescale;
        const float* const sums = sums_of(part);
#pragma unroll
        for (int n = 0; n < Dim / 8; n++)
#pragma unroll
          for (int i = 2 * side; i < 2 * side + 2; i++)
            out[n][i] = out[n][i] * rescale + sums[(n * 4 + i) * 32] * other_rescale;
      }
  }

#pragma unroll
  for (int side = 0; side < 2; side++) {
    const int row = row0 + row_part * 16 + lane / 4 + 8 * side;
    if (row >= rows) continue;
    const int64_t part =
        (static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * rows + row;  // row of the partial results
    const float factor = p.splits == 1 ? 1.0f / sum[side] : 1.0f;
    if (p.splits > 1 && lane % 4 == 0) p.stats[part] = make_float2(row_max[side], sum[side]);
    Value* const out_row = static_cast<Value*>(p.out) + static_cast<int64_t>(batch) * p.queries * p.out_stride +
                           offset_of(row, static_cast<int>(p.out_stride)) + lane % 4 * 2;
    float* const partial_row = p.partial + part * p.dim + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < Dim / 8; n++) {
      if (n >= chunks) continue;
      const float2 pair = make_float2(out[n][2 * side] * factor, out[n][2 * side + 1] * factor);
      if (p.splits == 1)
        store2(out_row + n * 8, pair);
      else
        store2(partial_row + n * 8, pair);
    }
  }
}

// Adds the partial results of the splits in order. Launch: grid (rows, batch * kv_heads).
template <typename Value>
__global__ void __launch_bounds__(128) combine_kernel(AttentionParams p) {
  const int rows = p.queries * p.heads_per_kv, row = static_cast<int>(blockIdx.x);
  const int batch = static_cast<int>(blockIdx.y) / p.kv_heads, kv = static_cast<int>(blockIdx.y) % p.kv_heads;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * rows + row;
  const int64_t split_stride = static_cast<int64_t>(gridDim.y) * rows;
  float row_max = -INFINITY, sum = 0;
  for (int s = 0; s < p.splits; s++) row_max = fmaxf(row_max, p.stats[first + s * split_stride].x);
  for (int s = 0; s < p.splits; s++)
    sum += p.stats[first + s * split_stride].y * exp2f(p.stats[first + s * split_stride].x - row_max);
  Value* out_row = static_cast<Value*>(p.out) +
                   (static_cast<int64_t>(batch) * p.queries + row / p.heads_per_kv) * p.out_stride +
                   (kv * p.heads_per_kv + row % p.heads_per_kv) * p.dim;
  for (int i = static_cast<int>(threadIdx.x); i < p.dim; i += 128) {
    float value = 0;
    for (int s = 0; s < p.splits; s++)
      value += p.partial[(first + s * split_stride) * p.dim + i] * exp2f(p.stats[first + s * split_stride].x - row_max);
    out_row[i] = narrow<Value>(value / sum);
  }
}

template <typename Value, int Dim, int RowParts, int KeyParts, int WarpKeys, int Stages>
cudaError_t launch(AttentionParams p, int64_t batches, void* workspace, int64_t workspace_bytes, cudaStream_t stream) {
  using T = AttentionTile<Dim, RowParts, KeyParts, WarpKeys, Stages>;
  const auto kernel = attention_kernel<Value, Dim, RowParts, KeyParts, WarpKeys, Stages>;
  cudaError_t result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kShared);
  if (result != cudaSuccess) return result;

  // Splits the keys among at most 64 blocks in total (measured), each with at least one kv tile.
  const int64_t rows = static_cast<int64_t>(p.queries) * p.heads_per_kv, all_rows = rows * batches * p.kv_heads;
  const int64_t blocks = blocks_for(rows, T::kRows) * batches * p.kv_heads;
  const int kv_tiles = (p.keys + T::kKeys - 1) / T::kKeys;
  const int64_t max_splits = workspace_bytes / (all_rows * (p.dim * 4 + 8));  // a row of partial and of stats
  const int wanted = static_cast<int>(std::clamp<int64_t>(std::min(64 / blocks, max_splits), 1, kv_tiles));
  const int split_tiles = (kv_tiles + wanted - 1) / wanted;
  p.splits = (kv_tiles + split_tiles - 1) / split_tiles;  // no empty split
  p.split_keys = split_tiles * T::kKeys;
  p.stats = static_cast<float2*>(workspace);
  p.partial = reinterpret_cast<float*>(p.stats + p.splits * all_rows);

  const dim3 grid(blocks_for(rows, T::kRows), static_cast<unsigned>(batches * p.kv_heads),
                  static_cast<unsigned>(p.splits));
  kernel<<<grid, T::kThreads, T::kShared, stream>>>(p);
  result = cudaGetLastError();
  if (result != cudaSuccess || p.splits == 1) return result;
  combine_kernel<Value><<<dim3(static_cast<unsigned>(rows), grid.y), 128, 0, stream>>>(p);
  return cudaGetLastError();
}

template <typename Value>
cudaError_t launch_for(const AttentionParams& p, int64_t batches, void* workspace, int64_t workspace_bytes,
                       cudaStream_t stream) {
  const auto run = [&](auto* launcher) { return launcher(p, batches, workspace, workspace_bytes, stream); };
  if (p.dim <= 32) return run(launch<Value, 32, 4, 1, 64, 2>);
  if (p.dim <= 64) return run(launch<Value, 64, 4, 1, 64, 2>);
  if (p.dim <= 80) return run(launch<Value, 80, 4, 2, 32, 4>);
  if (p.dim <= 128) return run(launch<Value, 128, 4, 2, 32, 2>);
  using LargeTile = AttentionTile<256, 3, 4, 16, 2>;  // 157 KB of shared memory
  return gpu().shared_memory_per_block >= LargeTile::kShared ? run(launch<Value, 256, 3, 4, 16, 2>)
                                                             : run(launch<Value, 256, 4, 2, 32, 1>);
}

}  // namespace

cudaError_t attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape, const Matrix& out,
                      void* workspace, int64_t workspace_bytes, cudaStream_t stream) {
  if (q.dtype == DType::F32) return launched("attention_f32", attention_f32(q, k, v, shape, out, stream));
  const auto aligned = [](const Matrix& m) { return rows_aligned(m.data, m.stride); };
  if (k.dtype != q.dtype || v.dtype != q.dtype || out.dtype != q.dtype || !aligned(q) || !aligned(k) || !aligned(v) ||
      out.stride % 2 != 0 || shape.head_dim % 8 != 0 || shape.head_dim > kMaxHeadDim ||
      shape.heads % shape.kv_heads != 0 || q.rows % shape.batch != 0 || k.rows % shape.batch != 0 || v.rows != k.rows ||
      out.rows != q.rows || q.rows == 0 || k.rows == 0)
    return cudaErrorInvalidValue;
  if (aligned(out) && attention_sm90_supported(k, shape)) {
    const cudaError_t result = launched("attention_sm90", attention_sm90(q, k, v, shape, out, stream));
    if (result != cudaErrorNotSupported) return result;
    cudaGetLastError();  // clear it: the next launch must not report it
  }
  AttentionParams p{};
  p.q = q.data, p.k = k.data, p.v = v.data, p.out = out.data;
  p.q_stride = q.stride, p.k_stride = k.stride, p.v_stride = v.stride, p.out_stride = out.stride;
  p.queries = static_cast<int>(q.rows / shape.batch), p.keys = static_cast<int>(k.rows / shape.batch);
  p.kv_heads = static_cast<int>(shape.kv_heads), p.heads_per_kv = static_cast<int>(shape.heads / shape.kv_heads);
  p.dim = static_cast<int>(shape.head_dim);
  p.scale = kLog2E / sqrtf(static_cast<float>(shape.head_dim));
  const auto launch = q.dtype == DType::F16 ? launch_for<fp16> : launch_for<bf16>;
  return launched("attention", launch(p, shape.batch, workspace, workspace_bytes, stream));
}

}  // namespace pi05::kernels
