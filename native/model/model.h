// Pi0.5 as a sequence of Ops: the inputs of the backend and the order of its operations.
#pragma once

#include <functional>
#include <vector>

#include "backend/ops.h"
#include "pi05/pi05.h"

namespace pi05 {

// The arguments of one inference, checked. Buffers are borrowed for the call.
struct Request {
  std::vector<pi05_image> images;   // images with data, in slot order
  std::vector<int64_t> slots;       // (images) the slot of each image
  const int32_t* tokens = nullptr;  // (token_count)
  int64_t token_count = 0;
  const float* noise = nullptr;  // (horizon, action_dim)
  int64_t steps = 0;
  pi05_rtc rtc{};
};

// Receives one intermediate tensor, float32. name and data are borrowed.
using Trace = std::function<void(const char* name, const float* data, std::vector<int64_t> shape)>;

class Model {
 public:
  // Loads the weights into the backend. Both must outlive the model.
  Model(Ops& ops, const Weights& weights, pi05_family family, pi05_resize resize);

  // If the backend captures graphs: captures those for this request's image sizes, steps and RTC mode and every prompt
  // length.
  void prepare(const Request& request);
  // actions: out (horizon, action_dim). trace may be empty.
  void infer(const Request& request, float* actions, const Trace& trace);

 private:
  // Computes modulation_ for the times of this many steps, with one more row for time 0.
  void compute_modulation(int64_t steps);
  // Uploads the data of a request.
  const Inputs& stage_inputs(const Request& request, const Shape& shape);
  // The operations between upload and download.
  void compute(const Inputs& in, const Shape& shape);
  void trace_all(const Request& request, const Trace& trace);

  Ops& ops_;
  pi05_family family_;
  pi05_resize resize_;
  int64_t modulation_steps_ = 0;  // steps of modulation_; 0 = not computed
  std::vector<float> times_;      // (steps)
  struct {
    std::vector<float> prev_chunk, prefix_weights, frozen_mask, guidance_weights;
    std::vector<int32_t> time_row;
  } staged_;  // as in Inputs; the backend may read it until the end of the inference

  Matrix patches_;     // (slots * patches, 3 * patch * patch)
  Matrix stream_;      // (max_prefix, prefix width) F32
  Matrix image_rows_;  // (slots * patches, prefix width) F32: copy of the image rows of stream_ for the trace
  Cache cache_;
  Matrix embedding_;   // (kMaxSteps + 1, expert width) F32
  Matrix condition_;   // (kMaxSteps + 1, expert width) F32
  Matrix modulation_;  // (kMaxSteps + 1, Dimensions::modulation_width()) F32
  Matrix x_;           // (horizon, action_dim) F32
  Matrix velocities_;  // (kMaxSteps * horizon, action_dim) F32
};

}  // namespace pi05
