// The seam between the model and the hardware.
//
// model/ runs one inference as
//
//   in = upload(inputs);                      host to backend, once
//   run(shape, [&] {                          everything below is recorded, nothing in it looks at the data
//     patches(...); vision(...); embed(...); prefix(...); flow(...);
//   });
//   download(x, actions);                     backend to host, once
//
// and calls nothing but the members of Ops. Writing a backend:
//
// 1. Derive from Ops, own all memory, implement "memory and order" and the primitives. The composites then work: their
//    default implementations (vision.cc, prefix.cc, flow.cc) are made of primitives, and are the reference for what a
//    composite computes.
// 2. Override composites where one fused or persistent kernel does better; the smaller ones (prefix_layer, flow_step,
//    expert_layer) or the whole stack. A backend that overrides a composite may lay out weights in load() as it likes
//    (fused q, k, v; 1 + w folded into the next matrix; fp8) and leave the primitives it no longer needs unreachable.
// 3. run() may record on the first call with a Shape and replay afterwards (one CUDA graph over the whole inference):
//    what a recording depends on beyond the data is in Shape, and every buffer keeps its address from allocate() on.
//    upload() writes into buffers of fixed address too; where a larger image forces a new one, older recordings are
//    invalid. prepare() records ahead, so that no run() has to in the middle of control.
//
// Numbers: the residual streams, the flow's x and velocities, the modulation table and the condition are F32 in every
// backend. activation_type() is the type of what goes into products: normalised rows, q, k, v, attention, MLP hidden.
// Only valid tokens exist here: cameras without an image and prompt padding are left out, so nothing is masked, every
// attention is bidirectional over all its keys, and a row's position is its index.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "backend/dimensions.h"
#include "backend/dtype.h"
#include "backend/weights.h"
#include "pi05/pi05.h"

namespace pi05 {

// A matrix in the backend's memory, row-major: element (r, c) is data[r * stride + c].
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::F32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  Matrix rows_from(int64_t first, int64_t count) const {
    return {static_cast<char*>(data) + first * stride * bytes_of(dtype), dtype, count, cols, stride};
  }
  Matrix cols_from(int64_t first, int64_t count) const {
    return {static_cast<char*>(data) + first * bytes_of(dtype), dtype, rows, count, stride};
  }
};

// Everything that one inference reads. The same struct points to host memory before upload() and to the backend's after
// it. Real-time chunking changes data only: without it prefix_weights,
// frozen_mask and guidance_weights are zeros.
struct Inputs {
  std::vector<pi05_image> images;           // cameras in use, in slot order
  const int32_t* tokens = nullptr;          // (Shape::tokens)
  const float* noise = nullptr;             // (horizon, action_dim)
  const float* prev_chunk = nullptr;        // (horizon, action_dim) Y: the previous chunk from the current step on
  const float* prefix_weights = nullptr;    // (horizon) W: how strongly guidance pulls a row towards prev_chunk
  const float* frozen_mask = nullptr;       // (horizon) 1 = the row is fixed to prev_chunk, 0 = free
  const float* guidance_weights = nullptr;  // (steps) w: the guidance weight of each flow step
  const float* times = nullptr;             // (steps) t
  const int32_t* time_row = nullptr;        // (steps, horizon) each action row's row of the modulation table
};

// What a recording depends on. Two inferences of equal shape differ in data only.
struct Shape {
  std::vector<pi05_image> images;  // data is ignored
  int64_t tokens = 0;
  int64_t steps = 0;
  bool trace = false;

  bool operator==(const Shape& other) const;
};

// Keys after RoPE, and values. A layer's rows are the prefix's, then the action tokens of the flow step under way.
struct Cache {
  Matrix k;              // (layers * capacity, kv_heads * head_dim) activation type
  Matrix v;              // as k
  int64_t capacity = 0;  // max_prefix + horizon
};

struct AttentionShape {
  int64_t batch;     // independent attentions; q and k have batch * equal numbers of rows
  int64_t heads;     // of q
  int64_t kv_heads;  // of k and v; query head h reads kv head h * kv_heads / heads
  int64_t head_dim;
};

class Ops {
 public:
  explicit Ops(const Dimensions& dimensions) : dims(dimensions) {}
  virtual ~Ops() = default;
  Ops(const Ops&) = delete;
  Ops& operator=(const Ops&) = delete;

  // ---- memory and order -------------------------------------------------------------------------------------------

  // Once, before anything else. `host` points into the checkpoint, which stays mapped while the backend lives.
  virtual void load(const Weights& host) = 0;
  // Zeroed; lives as long as the backend.
  virtual Matrix allocate(int64_t rows, int64_t cols, DType dtype) = 0;
  virtual DType activation_type() const = 0;
  virtual DType vision_type() const { return activation_type(); }  // the same of patches and SigLIP
  // Allocates what the composites need between their steps; once, after load().
  virtual void reserve();
  // The result is valid until the next upload; host memory stays as it is until what runs on it is done.
  virtual const Inputs& upload(const Shape& shape, const Inputs& host) = 0;
  // F32 rows of `to` from contiguous host memory, at once.
  virtual void upload(const Matrix& to, const float* host) = 0;
  // Does what `record` asks for, in order. Ops called outside run() are done at once.
  virtual void run(const Shape& shape, const std::function<void()>& record) = 0;
  // Whether run() records. Then prepare() records without running, so that a later run() of that shape only replays.
  virtual bool captures_graphs() const { return false; }
  virtual void prepare(const Shape&, const std::function<void()>&) {}
  // Contiguous fp32 host memory from any Matrix; waits for what was run.
  virtual void download(const Matrix& from, float* host) = 0;

  // ---- composites, in the order of an inference -------------------------------------------------------------------

  // Set-up for a number of flow steps, outside run() and into the same buffers again when that number changes:
  // embedding (times, width) of t, F32 -> condition (times, width), modulation (times, Dimensions::modulation()).
  virtual void conditioning(const Matrix& embedding, const Matrix& condition, const Matrix& modulation);

  // Each image resized with padding to (image_size, image_size, 3), x / 255 * 2 - 1, cut into patches:
  // out (cameras * patches, 3 * patch * patch) activation type; patches row by row, values by channel, row, column.
  virtual void patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) = 0;

  // SigLIP over all cameras in one batch and the projector: patches as above -> out (cameras * patches, prefix width)
  // F32.
  virtual void vision(const Matrix& patches, int64_t cameras, const Matrix& out);

  // out (tokens, prefix width) F32 = rows of the embedding table * sqrt(width).
  virtual void embed(const int32_t* tokens, const Matrix& out) = 0;

  // x (tokens, width) F32 in, overwritten; fills the cache's prefix rows. The last layer computes k and v only.
  virtual void prefix(const Matrix& x, const Cache& cache);
  virtual void prefix_layer(int64_t layer, const Matrix& x, const Cache& cache);

  // All Euler steps. prefix_tokens: valid cache rows before the action tokens. x (horizon, action_dim) F32: out, the
  // actions. velocities (steps * horizon, action_dim) F32: out, as they were used.
  virtual void flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                    const Matrix& modulation, const Matrix& x, const Matrix& velocities);
  virtual void flow_step(const Inputs& in, int64_t step, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                         const Matrix& modulation, const Matrix& x, const Matrix& velocity);
  // h (horizon, expert width) F32, in and out. modulation (times, 2 * 3 * width): this layer's columns.
  virtual void expert_layer(int64_t layer, const int32_t* time_row, int64_t prefix_tokens, const Cache& cache,
                            const Matrix& modulation, const Matrix& h);

  // ---- primitives: what the default composites are made of --------------------------------------------------------
  // Products: x (m, k), weight (n, k), out (m, n). Bias may be null. Nothing overlaps but where named in and out.

  // out = x · weightᵀ + bias
  virtual void linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) = 0;
  // out = gelu_tanh(x · weightᵀ + bias)
  virtual void linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) = 0;
  // out = gelu_tanh(x · gateᵀ) * (x · upᵀ)
  virtual void gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out) = 0;
  // stream += x · weightᵀ + bias
  virtual void linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream) = 0;
  // stream[r] += gate[time_row[r]] * (x · weightᵀ)[r]; gate (times, n)
  virtual void linear_gated_add(const Matrix& x, const Tensor& weight, const Matrix& gate, const int32_t* time_row,
                                const Matrix& stream) = 0;

  // out = (x - mean) / sqrt(variance + 1e-6) * weight + bias
  virtual void layer_norm(const Matrix& x, const Affine& norm, const Matrix& out) = 0;
  // out = x / sqrt(mean(x²) + 1e-6) * (1 + weight)
  virtual void rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out) = 0;
  // out[r] = x / sqrt(mean(x²) + 1e-6) * (1 + scale[time_row[r]]) + shift[time_row[r]]; modulation (times, ≥ 2 *
  // width): scale, shift
  virtual void adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row,
                                 const Matrix& out) = 0;

  // In place: row r of each head turned as position first + r, theta 10000, rotate-half.
  virtual void rope(const Matrix& x, int64_t heads, int64_t first) = 0;
  // out = softmax(q · kᵀ / sqrt(head_dim)) · v per head; q, out (batch * n, heads * head_dim), k, v (batch * m,
  // kv_heads * head_dim); softmax in F32.
  virtual void attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                         const Matrix& out) = 0;

  virtual void silu(const Matrix& x) = 0;  // in place
  // to = from, repeated until to's rows are full; converts the type.
  virtual void copy(const Matrix& from, const Matrix& to) = 0;
  // x[r] = frozen_mask[r] ? prev_chunk[r] : noise[r]
  virtual void start(const Inputs& in, const Matrix& x) = 0;
  // Guidance, then one Euler step:
  //   e = prefix_weights[r] * (prev_chunk[r] - (x[r] - times[step] * velocity[r]))
  //   velocity[r] -= guidance_weights[step] * e
  //   x[r] = frozen_mask[r] ? prev_chunk[r] : x[r] - velocity[r] / steps
  virtual void euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x) = 0;

  const Dimensions dims;

 protected:
  Weights weights_;  // in the backend's memory; the default composites read them here

  struct VisionScratch {
    Matrix x;                   // (slots * patches, hidden) F32
    Matrix norm, q, k, v, att;  // (slots * patches, hidden)
    Matrix mid;                 // (slots * patches, mlp)
  } vision_;
  struct PrefixScratch {
    Matrix norm;    // (max_prefix, width)
    Matrix q, att;  // (max_prefix, heads * head_dim)
    Matrix mid;     // (max_prefix, mlp)
  } prefix_;
  struct ExpertScratch {
    Matrix h;       // (horizon, width) F32
    Matrix norm;    // (horizon, width)
    Matrix q, att;  // (horizon, heads * head_dim)
    Matrix mid;     // (horizon, mlp)
  } expert_;
};

}  // namespace pi05
