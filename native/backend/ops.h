// The interface between the model and a backend. One inference of model/ is
//
//   in = upload(shape, inputs);               host to backend
//   run(shape, [&] {                          everything below is enqueued; nothing in it reads the data
//     patches(...); vision(...); embed(...); prefix(...); flow(...);
//   });
//   download(x, actions);                     backend to host, waits
//
// A backend either derives from ReferenceOps (reference_ops.h) and implements primitives, or from Ops and implements
// the stages itself, as the CUDA backend does with fused and persistent kernels. It may then lay out weights in load()
// as its kernels want them (q, k and v in one matrix, gate and up interleaved).
//
// run() may capture a graph on the first call with a Shape and launch that graph afterwards. A buffer keeps its address
// from allocate() on, and upload() writes to fixed addresses. Where a larger image needs a new buffer, the backend
// discards its graphs and captures them again. prepare() captures ahead of time, so that no run() has to while the
// robot moves.
//
// Numbers: the residual streams, the flow's x and velocities, the modulation table and the condition are F32 in every
// backend. activation_type() is the type of what enters matrix products: normalised rows, q, k, v, attention output,
// MLP hidden values. Only valid tokens exist here: cameras without an image and prompt padding are left out, so there
// are no attention masks, every attention is bidirectional over all its keys, and a row's position is its index.
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

// Everything that one inference reads. The pointers are to host memory before upload() and to the backend's memory
// after it. Real-time chunking changes data only: without it prefix_weights, frozen_mask and guidance_weights are
// zeros.
struct Inputs {
  std::vector<pi05_image> images;           // cameras in use, in slot order
  const int32_t* tokens = nullptr;          // (Shape::tokens)
  const float* noise = nullptr;             // (horizon, action_dim)
  const float* prev_chunk = nullptr;        // (horizon, action_dim) the previous chunk from the current step on
  const float* prefix_weights = nullptr;    // (horizon) how strongly guidance pulls a row towards prev_chunk
  const float* frozen_mask = nullptr;       // (horizon) 1 = the row is fixed to prev_chunk, 0 = free
  const float* guidance_weights = nullptr;  // (steps) the guidance weight of each flow step
  const float* times = nullptr;             // (steps) the flow time t of each step
  const int32_t* time_row = nullptr;        // (steps, horizon) the modulation row of each action row
};

// What a captured graph depends on. Two inferences of equal shape differ in data only.
struct Shape {
  std::vector<pi05_image> images;  // `data` is not compared
  int64_t tokens = 0;
  int64_t steps = 0;
  bool trace = false;

  bool operator==(const Shape& other) const;
};

// The KV cache: keys after RoPE, and values. A layer's rows are the prefix's, then the action tokens of the current
// flow step.
struct Cache {
  Matrix k;              // (layers * capacity, kv_heads * head_dim) activation type
  Matrix v;              // as k
  int64_t capacity = 0;  // max_prefix + horizon
};

struct AttentionShape {
  int64_t batch;     // independent attentions; q has batch * n rows, k and v batch * m
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

  // ---- memory and order ----

  // Called once, before anything else. `host` points into the checkpoint, which stays mapped while the backend exists.
  virtual void load(const Weights& host) = 0;
  // Zeroed; freed with the backend.
  virtual Matrix allocate(int64_t rows, int64_t cols, DType dtype) = 0;
  virtual DType activation_type() const = 0;
  virtual DType vision_type() const { return activation_type(); }  // activations of patches and SigLIP
  // Allocates the buffers of the stages; called once, after load().
  virtual void reserve() = 0;
  // The result is valid until the next upload. Host memory must stay unchanged until the inference that reads it is
  // done.
  virtual const Inputs& upload(const Shape& shape, const Inputs& host) = 0;
  // F32 rows of contiguous host memory to `to`; returns when they have been copied.
  virtual void upload(const Matrix& to, const float* host) = 0;
  // Executes the operations that `enqueue` calls, in order. Operations called outside run() are executed immediately.
  virtual void run(const Shape& shape, const std::function<void()>& enqueue) = 0;
  // Whether run() captures graphs. If so, prepare() captures without executing, and a later run() of that shape only
  // launches.
  virtual bool captures_graphs() const { return false; }
  virtual void prepare(const Shape&, const std::function<void()>&) {}
  // Any Matrix to contiguous fp32 host memory; waits for what was run.
  virtual void download(const Matrix& from, float* host) = 0;

  // ---- stages, in the order of an inference ----

  // Once for a number of flow steps, outside run() and into the same buffers:
  // embedding (times, width) of t, F32 -> condition (times, width), modulation (times, Dimensions::modulation_width()).
  virtual void conditioning(const Matrix& embedding, const Matrix& condition, const Matrix& modulation) = 0;

  // Each image resized with padding to (image_size, image_size, 3), x / 255 * 2 - 1, cut into patches:
  // out (cameras * patches, 3 * patch * patch) vision type; patches row by row, values by channel, row, column.
  virtual void patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) = 0;

  // SigLIP over all cameras in one batch, then the projector: patches as above -> out (cameras * patches, prefix width)
  // F32.
  virtual void vision(const Matrix& patches, int64_t cameras, const Matrix& out) = 0;

  // out (tokens, prefix width) F32 = rows of the embedding table * sqrt(width).
  virtual void embed(const int32_t* tokens, const Matrix& out) = 0;

  // x (tokens, width) F32 is overwritten; fills the cache's prefix rows. The last layer computes k and v only.
  virtual void prefix(const Matrix& x, const Cache& cache) = 0;

  // All Euler steps. prefix_tokens: valid cache rows before the action tokens. x (horizon, action_dim) F32: out, the
  // actions. velocities (steps * horizon, action_dim) F32: out, with guidance applied.
  virtual void flow(const Inputs& in, int64_t steps, int64_t prefix_tokens, const Cache& cache,
                    const Matrix& modulation, const Matrix& x, const Matrix& velocities) = 0;

  // to = from, repeated until `to` is full; converts the type.
  virtual void copy(const Matrix& from, const Matrix& to) = 0;

  const Dimensions dims;
};

}  // namespace pi05
