// Data layout of the persistent expert kernel: packed weights, kernel parameters, the exchange buffer, shared memory.
#pragma once

#include <cuda.h>

#include <algorithm>

#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/ptx_sm90.cuh"

namespace pi05::expert {

using kernels::bf16, kernels::fp16, kernels::packed;

constexpr int kCluster = 8;  // blocks; rank r takes the r-th slice of K in o_proj and down
constexpr int kRows = 16;    // action rows, padded
constexpr int kWidth = 1024;
constexpr int kHeads = 8;  // cluster h < 8 computes query head h; the other clusters compute keys and values
constexpr int kHeadBlocks = kHeads * kCluster;  // the blocks that compute query heads, the first of the grid
constexpr int kDim = 256;                       // of a head
constexpr int kMlp = 4096;
constexpr int kActionDim = 32;
constexpr int kConsumers = 256;  // threads of the 8 consumer warps
// The producer is one warp, but setmaxnreg redistributes registers among whole warpgroups.
constexpr int kThreads = kConsumers + 128;
// Registers per thread: what the producer's warpgroup gives up, the consumers use.
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
static_assert(128 * kProducerRegisters + kConsumers * kConsumerRegisters <= 65536, "registers of a multiprocessor");
// Tiles of 8 outputs over all blocks.
constexpr int kKvTiles = 2 * kDim / 8;      // 4 rotary pairs each: 32 tiles of keys, then 32 of values
constexpr int kResidualTiles = kWidth / 8;  // columns of the residual stream
constexpr int kMlpTiles = 2 * kMlp / 8;     // 4 outputs of gate and the same 4 of up
constexpr int kPage = 16;                   // keys, with their values, in a pipeline stage

// Packed weights. A weight tile is 8 outputs x 32 inputs of bf16, 512 bytes. A chunk fills one pipeline stage: the same
// number of tiles for each of the 8 consumer warps.
// OwnedTiles: tiles of residual columns that a cluster owns, kResidualTiles / clusters rounded up. Also the number of
// gate+up tiles that a block computes, kMlpTiles / blocks rounded up.
template <int OwnedTiles>
struct WeightLayout {
  // Tiles of the QKV projection per block: where it computes a query head, where it computes keys and values.
  static constexpr int kQueryTiles = 4, kBlockKvTiles = 2;
  static constexpr int kWideTiles = 4;   // per chunk and warp, in the QKV and gate+up projections
  static constexpr int kSplitTiles = 3;  // the same in o_proj and down, whose K is split among ranks
  static_assert(OwnedTiles % kSplitTiles == 0);
  static constexpr int kQueryChunks = kQueryTiles * 4 / kWideTiles, kKvChunks = kBlockKvTiles * 4 / kWideTiles;
  static constexpr int kOutChunks = OwnedTiles / kSplitTiles, kUpChunks = OwnedTiles * 4 / kWideTiles,
                       kDownChunks = OwnedTiles * 2 / kSplitTiles;
  static constexpr int kWideBytes = 8 * kWideTiles * 512, kSplitBytes = 8 * kSplitTiles * 512;  // of a chunk
  static constexpr size_t kRestBytes = size_t(kOutChunks + kDownChunks) * kSplitBytes + size_t(kUpChunks) * kWideBytes;
  // Per layer and block; blocks without a query head leave the end unused.
  static constexpr size_t kLayerBytes = size_t(kQueryChunks) * kWideBytes + kRestBytes;
};

// When the residual stream is published: after attention, after the MLP, at the start of a flow step.
enum ResidualPoint { kAfterAttention, kAfterMlp, kStepStart };

// How blocks of different clusters exchange activations, through L2. The data is its own flag (as in NCCL's LL
// protocol): a word that reads kEmpty has not been published yet. There are two buffers, used by alternate layers. The
// writer of a word empties it one layer later, when an exchange with every block has shown that all readers are done.
// residual, attention and hidden are stored as the mma fragments of their readers, see fragment_offset().
struct ExchangeBuffer {
  __nv_bfloat16 residual[3][kRows * kWidth];       // by ResidualPoint
  __nv_bfloat16 kv[2][kRows][kDim];                // keys and values of the action rows
  __nv_bfloat16 attention[kRows * kHeads * kDim];  // output of all heads
  __nv_bfloat16 hidden[kRows * kMlp];              // gelu(gate) * up
  float velocity[kRows][kActionDim];
};

struct KernelParams {
  CUtensorMap keys, values;  // of the prefix, after RoPE: (layers, 4, prefix, 64)
  const uint8_t* weights;    // (layers, blocks, kLayerBytes) packed
  int prefix_tokens;         // valid rows of keys and values
  int clusters, stages;
  int max_loads;  // stages being loaded at once; a limit keeps the exchange from queueing behind the weight stream
  int layers, steps, rows;
  const float* modulation;        // (steps + 1, 2 * layers + 1, 3, 1024): scale, shift, gate; the last of frozen rows
  const float* action_in;         // (1024, 32)
  const float* action_in_bias;    // (1024)
  const float* action_out;        // (32, 1024)
  const float* action_out_bias;   // (32)
  const float* noise;             // (rows, 32)
  const float* prev_chunk;        // (rows, 32)
  const float* frozen_mask;       // (rows) 1: the row stays prev_chunk; not read by the kernel without frozen rows
  const float* prefix_weights;    // (rows)
  const float* guidance_weights;  // (steps)
  const float* times;             // (steps)
  float* velocities;              // (steps, rows, 32)
  float* actions;                 // (rows, 32)
  float dt;                       // -1 / steps
  int ring_at;                    // offset of the pipeline stages in shared memory
  ExchangeBuffer* exchange;       // (2), every byte 0xff at launch
};

// ---- shared memory ----

constexpr int kMaxKeys = 8 * kPage;  // of a block: a page per consumer warp
// Bytes of a row of bf16, padded against bank conflicts: of normalised activations, queries, probabilities.
constexpr int kActivationStride = kWidth * 2 + 64, kQueryStride = kDim * 2 + 16, kProbStride = kMaxKeys * 2 + 16;
// A page in shared memory: keys, then values, each (4, 16 keys, 64 columns), swizzled by TMA.
constexpr int kHalfPageBytes = kPage * kDim * 2, kPageBytes = 2 * kHalfPageBytes;

// The scratch area during attention. First the split-K partials of the queries (8 warps, 4 tiles of 512 bytes). Once
// they are reduced, the same bytes receive the partial outputs: from each rank 16 rows x 32 columns of fp16, then from
// each rank the maximum and the sum of each row. Behind them are each page's row maxima, then the probabilities.
constexpr int kRankOutputBytes = kRows * 32 * 2, kRankStatsBytes = kRows * 8;
constexpr int kStatsAt = kCluster * kRankOutputBytes;
constexpr int kOutputBytes = kStatsAt + kCluster * kRankStatsBytes;
constexpr int kMaximaAt = 8 * 4 * 512;
constexpr int kMaximaStride = 12;  // floats of a row: 8 pages, padded against bank conflicts
static_assert(kOutputBytes <= kMaximaAt, "attention scratch");
constexpr int kProbsAt = kMaximaAt + kRows * kMaximaStride * 4;

// Bytes that the ranks of a cluster send to each block: the queries, and the split-K partials of an owned tile slot.
constexpr int kQueryBytes = kRows * kDim * 2;
constexpr int kSlotBytes = kCluster * kRows * 8 * 4;

constexpr int kMaxStages = 12;
struct SharedState {
  float cos_sin[16][kRows + 1][2];       // cosine and sine of (rotary pair, row), padded against bank conflicts
  float x[kRows][kActionDim];            // x of the flow
  alignas(16) float squares[kRows][12];  // sum of squares of (row, warp), padded against bank conflicts
  // mbarriers: of the pipeline; for data from the ranks of the cluster (queries, partial outputs, split-K partials)
  uint64_t full[kMaxStages], empty[kMaxStages], queries_arrived, outputs_arrived, partials_arrived;
};

// Byte offsets in dynamic shared memory, aligned to 1024 bytes where TMA writes.
template <int OwnedTiles>
struct SharedLayout {
  using W = WeightLayout<OwnedTiles>;
  static constexpr int kScratchBytes = std::max(8 * OwnedTiles * 512, kRows* kActivationStride);  // split-K, attention
  static_assert(kProbsAt + kRows * kProbStride <= kScratchBytes, "attention scratch");
  static constexpr int kModulationAt = kScratchBytes;                     // scale and shift of the next norm
  static constexpr int kRankPartialsAt = kModulationAt + 2 * kWidth * 4;  // a slot for every 8 owned tiles
  static constexpr int kQueriesAt = kRankPartialsAt + (OwnedTiles + 7) / 8 * kSlotBytes;
  static constexpr int kStateAt = kQueriesAt + kRows * kQueryStride;
  static constexpr int kStateEnd = (kStateAt + (int)sizeof(SharedState) + 1023) & ~1023;
  static constexpr int kFrozenModulationAt = kStateEnd;  // scale and shift of the next norm, for frozen rows
  // The pipeline stages.
  static constexpr int ring_at(bool frozen_rows) { return kStateEnd + (frozen_rows ? 2 * kWidth * 4 : 0); }
  static constexpr int kStageBytes = (std::max({W::kWideBytes, W::kSplitBytes, kPageBytes}) + 1023) & ~1023;
};

}  // namespace pi05::expert
