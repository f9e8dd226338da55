// What lies where: the weights that a block streams, the mail, shared memory.
#pragma once

#include <cuda.h>

#include "backend/cuda/kernels/expert_ptx.cuh"

namespace pi05::expert {

constexpr int kCluster = 8;  // CTAs; rank r takes the r-th slice of K in o_proj and down
constexpr int kRows = 16;    // action rows, padded
constexpr int kWidth = 1024;
constexpr int kHeads = 8;  // cluster h < 8 computes head h; the others keys and values
constexpr int kDim = 256;
constexpr int kMlp = 4096;
constexpr int kActionDim = 32;
constexpr int kConsumers = 256;  // threads of the 8 consumer warps
// A warpgroup for the one warp that streams: registers are shared out by warpgroups.
constexpr int kThreads = kConsumers + 128;
constexpr int kKvTiles = 64;  // tiles of 8 outputs: 4 rotary pairs each; keys, then values
constexpr int kPage = 16;     // keys (and values) a stage

// A weight tile is 8 outputs x 32 inputs, 512 bytes. A chunk is what one stage holds: `Q` tiles for each consumer warp.
// T: tiles of residual columns a cluster owns, ceil(128 / clusters); also tiles of gate+up a CTA computes.
template <int T>
struct Plan {
  static constexpr int kQuery = 4, kKv = 2;  // tiles in the first product: of a head's CTA, of the others
  static constexpr int kQ1 = 4;              // tiles a chunk and warp: first product, gate+up
  static constexpr int kQ2 = 3;              // o_proj, down
  static_assert(T % kQ2 == 0);
  static constexpr int kQueryChunks = kQuery * 4 / kQ1, kKvChunks = kKv * 4 / kQ1;
  static constexpr int kOutChunks = T / kQ2, kUpChunks = T * 4 / kQ1, kDownChunks = T * 2 / kQ2;
  static constexpr int kChunk1 = kQ1 * 4096, kChunk2 = kQ2 * 4096;
  static constexpr size_t kRest = size_t(kOutChunks + kDownChunks) * kChunk2 + size_t(kUpChunks) * kChunk1;
  static constexpr size_t kLayerBytes = size_t(kQueryChunks) * kChunk1 + kRest;  // per CTA; others leave the head short
};

struct Params {
  CUtensorMap keys, values;  // of the prefix, after RoPE: (layers, 4, prefix, 64)
  const uint8_t* weights;    // (layers, CTAs, kLayerBytes) packed
  int prefix;                // valid prefix tokens
  int clusters, stages;
  int inflight;  // stages under way at once: smooths the stream, so that mail is not stuck behind it
  int layers, steps, rows;
  const float* mod;   // (steps, 2*layers+1, 3, 1024): scale, shift, gate
  const float* in_w;  // (1024, 32)
  const float* in_b;
  const float* out_w;  // (32, 1024)
  const float* out_b;
  const float* noise;     // (rows, 32)
  const float* previous;  // (rows, 32) Y
  const float* pull;      // (rows) W
  const float* guidance;  // (steps) w
  const float* times;     // (steps) t
  float* velocities;      // (steps, rows, 32)
  float* actions;         // (rows, 32)
  float dt;               // -1/steps
  struct Mail* mail;      // (2), every byte 0xff at launch
};

// What clusters tell each other, through L2. A word that still reads kEmpty has not been written; its writer empties it
// again one layer later, when a newer exchange with every CTA proves that all readers are done. Two copies alternate.
// x, att and h lie as their readers' mma fragments: see place().
struct Mail {
  __nv_bfloat16 x[3][kRows * kWidth];  // residual: after attention, after the MLP, at the start of a step
  __nv_bfloat16 kv[2][kRows][kDim];
  __nv_bfloat16 att[kRows * kHeads * kDim];
  __nv_bfloat16 h[kRows * kMlp];
  float v[kRows][kActionDim];
};

// Shared memory.
constexpr int kStrideX = kWidth * 2 + 64;  // rows of 1024 bf16
constexpr int kStrideQ = kDim * 2 + 16;
constexpr int kHalfPage = kPage * kDim * 2;  // keys, then values: (4, 16 keys, 64 columns), swizzled by TMA
constexpr int kPageBytes = 2 * kHalfPage;
constexpr int kMaxKeys = 128;  // a CTA
constexpr int kStrideP = kMaxKeys * 2 + 16;
// In the activation area during attention, behind what the queries are summed in: each rank's part of the sums with its
// maximum and sum of each row, then each warp's maximum of each row, then the weights.
constexpr int kPartBytes = 8 * 1024;
constexpr int kRecvOBytes = kPartBytes + 8 * kRows * 8;
constexpr int kTopOff = 8 * 2048;
constexpr int kStrideTop = 12;  // floats
static_assert(kRecvOBytes <= kTopOff, "attention scratch");
constexpr int kProbOff = kTopOff + kRows * kStrideTop * 4;
template <int T>
struct Layout {
  static constexpr int kAct = T * 4096 > kRows* kStrideX ? T * 4096 : kRows* kStrideX;  // also the split-K scratch
  static_assert(kProbOff + kRows * kStrideP <= kAct, "attention scratch");
  static constexpr int kMod = kAct;                    // scale and shift of the next norm
  static constexpr int kRecv = kMod + 2 * kWidth * 4;  // (T / 8 rounded up, 8 ranks, 128 floats)
  static constexpr int kQuery = kRecv + (T + 7) / 8 * 4096;
  static constexpr int kSmall = kQuery + kRows * kStrideQ;
  static constexpr int kStage =
      ((Plan<T>::kChunk1 > Plan<T>::kChunk2 ? Plan<T>::kChunk1 : Plan<T>::kChunk2) > kPageBytes
           ? (Plan<T>::kChunk1 > Plan<T>::kChunk2 ? Plan<T>::kChunk1 : Plan<T>::kChunk2)
           : kPageBytes) +
          1023 &
      ~1023;
};
constexpr int kMaxStages = 12;
struct Small {
  float rope[16][kRows + 1][2];
  float xt[kRows][kActionDim];
  alignas(16) float squares[kRows][12];  // of each warp
  uint64_t full[kMaxStages], empty[kMaxStages], recv_q, recv_o, recv_c;
};
template <int T>
struct Ring {
  static constexpr int kOffset = (Layout<T>::kSmall + (int)sizeof(Small) + 1023) & ~1023;
};

}  // namespace pi05::expert
