// Data layout of the persistent expert kernel: packed weights, kernel parameters, the exchange buffer, shared memory.
#pragma once

#include <cuda.h>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/ptx_sm90.cuh"

namespace pi05::expert {

using kernels::bf16, kernels::fp16, kernels::packed;

constexpr int kCluster = 8;  // blocks; rank r takes the r-th slice of K in o_proj and down
constexpr int kRows = 16;    // action rows, padded
constexpr int kWidth = 1024;
constexpr int kHeads = 8;  // cluster h < 8 computes query head h; the other clusters compute keys and values
constexpr int kDim = 256;  // of a head
constexpr int kMlp = 4096;
constexpr int kActionDim = 32;
constexpr int kConsumers = 256;  // threads of the 8 consumer warps
// The producer is one warp, but setmaxnreg redistributes registers among whole warpgroups.
constexpr int kThreads = kConsumers + 128;
constexpr int kKvTiles = 64;  // tiles of 8 outputs (4 rotary pairs): 32 of keys, then 32 of values
constexpr int kPage = 16;     // keys, with their values, in a pipeline stage

// Packed weights. A weight tile is 8 outputs x 32 inputs of bf16, 512 bytes. A chunk fills one pipeline stage: the same
// number of tiles for each of the 8 consumer warps.
// T: tiles of residual columns that a cluster owns, ceil(128 / clusters); also tiles of gate+up that a block computes.
template <int T>
struct WeightLayout {
  static constexpr int kQuery = 4, kKv = 2;  // tiles of the QKV projection: in blocks of a query head, in the others
  static constexpr int kWideTiles = 4;       // per chunk and warp, in the QKV and gate+up projections
  static constexpr int kSplitTiles = 3;      // the same in o_proj and down, whose K is split among ranks
  static_assert(T % kSplitTiles == 0);
  static constexpr int kQueryChunks = kQuery * 4 / kWideTiles, kKvChunks = kKv * 4 / kWideTiles;
  static constexpr int kOutChunks = T / kSplitTiles, kUpChunks = T * 4 / kWideTiles, kDownChunks = T * 2 / kSplitTiles;
  static constexpr int kWideBytes = kWideTiles * 4096, kSplitBytes = kSplitTiles * 4096;  // of a chunk
  static constexpr size_t kRestBytes = size_t(kOutChunks + kDownChunks) * kSplitBytes + size_t(kUpChunks) * kWideBytes;
  // Per layer and block; blocks without a query head leave the end unused.
  static constexpr size_t kLayerBytes = size_t(kQueryChunks) * kWideBytes + kRestBytes;
};

// How blocks of different clusters exchange activations, through L2. The data is its own flag (as in NCCL's LL
// protocol): a word that reads kEmpty has not been published yet. There are two buffers, used by alternate layers. The
// writer of a word empties it one layer later, when an exchange with every block has shown that all readers are done.
// x, att and h are stored as the mma fragments of their readers, see fragment_offset().
struct ExchangeBuffer {
  __nv_bfloat16 x[3][kRows * kWidth];  // residual: after attention, after the MLP, at the start of a step
  __nv_bfloat16 kv[2][kRows][kDim];    // keys and values of the action rows
  __nv_bfloat16 att[kRows * kHeads * kDim];
  __nv_bfloat16 h[kRows * kMlp];
  float v[kRows][kActionDim];
};

struct KernelParams {
  CUtensorMap keys, values;  // of the prefix, after RoPE: (layers, 4, prefix, 64)
  const uint8_t* weights;    // (layers, blocks, kLayerBytes) packed
  int prefix;                // valid prefix tokens
  int clusters, stages;
  int inflight;  // stages being loaded at once; a limit keeps the exchange from queueing behind the weight stream
  int layers, steps, rows;
  const float* mod;               // (steps, 2 * layers + 1, 3, 1024): scale, shift, gate
  const float* in_w;              // (1024, 32)
  const float* in_b;              // (1024)
  const float* out_w;             // (32, 1024)
  const float* out_b;             // (32)
  const float* noise;             // (rows, 32)
  const float* prev_chunk;        // (rows, 32)
  const float* prefix_weights;    // (rows)
  const float* guidance_weights;  // (steps)
  const float* times;             // (steps)
  float* velocities;              // (steps, rows, 32)
  float* actions;                 // (rows, 32)
  float dt;                       // -1 / steps
  ExchangeBuffer* exchange;       // (2), every byte 0xff at launch
};

// ---- shared memory ----

constexpr int kStrideX = kWidth * 2 + 64;  // bytes of a row of 1024 bf16, padded against bank conflicts
constexpr int kStrideQ = kDim * 2 + 16;
constexpr int kHalfPage = kPage * kDim * 2;  // keys, then values: (4, 16 keys, 64 columns), swizzled by TMA
constexpr int kPageBytes = 2 * kHalfPage;
constexpr int kMaxKeys = 128;  // of a block
constexpr int kStrideP = kMaxKeys * 2 + 16;
// The scratch area during attention, behind the partial sums of the queries: each rank's partial output with the
// maximum and the sum of each row, then each warp's maximum of each row, then the probabilities.
constexpr int kPartBytes = 8 * 1024;
constexpr int kRecvOBytes = kPartBytes + 8 * kRows * 8;
constexpr int kTopOff = 8 * 2048;
constexpr int kStrideTop = 12;  // floats
static_assert(kRecvOBytes <= kTopOff, "attention scratch");
constexpr int kProbOff = kTopOff + kRows * kStrideTop * 4;

constexpr int kMaxStages = 12;
struct SharedState {
  float rope[16][kRows + 1][2];          // cosine and sine of (pair, row)
  float xt[kRows][kActionDim];           // x of the flow, fp32
  alignas(16) float squares[kRows][12];  // sum of squares of (row, warp)
  // mbarriers: of the pipeline; for data from other blocks of the cluster (queries, attention, split-K partials)
  uint64_t full[kMaxStages], empty[kMaxStages], recv_q, recv_o, recv_c;
};

// Byte offsets in dynamic shared memory.
template <int T>
struct SharedLayout {
  using W = WeightLayout<T>;
  static constexpr int kScratch = T * 4096 > kRows* kStrideX ? T * 4096 : kRows* kStrideX;  // of split-K, attention
  static_assert(kProbOff + kRows * kStrideP <= kScratch, "attention scratch");
  static constexpr int kMod = kScratch;                // scale and shift of the next norm
  static constexpr int kRecv = kMod + 2 * kWidth * 4;  // (T / 8 rounded up, 8 ranks, 128 floats)
  static constexpr int kQuery = kRecv + (T + 7) / 8 * 4096;
  static constexpr int kState = kQuery + kRows * kStrideQ;
  static constexpr int kRing = (kState + (int)sizeof(SharedState) + 1023) & ~1023;
  static constexpr int kChunk = W::kWideBytes > W::kSplitBytes ? W::kWideBytes : W::kSplitBytes;
  static constexpr int kStage = ((kChunk > kPageBytes ? kChunk : kPageBytes) + 1023) & ~1023;  // bytes
};

}  // namespace pi05::expert
