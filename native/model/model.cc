#include "model/model.h"

#include <algorithm>
#include <string>

#include "model/rtc.h"
#include "model/times.h"

namespace pi05 {

Model::Model(Ops& ops, const Weights& weights, pi05_family family, pi05_resize resize)
    : ops_(ops), family_(family), resize_(resize) {
  const Dimensions& d = ops.dims;
  ops.load(weights);
  ops.reserve();
  const DType type = ops.activation_type();
  const int64_t image_rows = d.slots * d.vision.patches();
  patches_ = ops.allocate(image_rows, d.vision.patch_values(), ops.vision_type());
  stream_ = ops.allocate(d.max_prefix(), d.prefix.width, DType::F32);
  image_rows_ = ops.allocate(image_rows, d.prefix.width, DType::F32);
  cache_.capacity = d.max_prefix() + d.horizon;
  cache_.k = ops.allocate(d.prefix.layers * cache_.capacity, d.prefix.kv_heads * d.prefix.head_dim, type);
  cache_.v = ops.allocate(d.prefix.layers * cache_.capacity, d.prefix.kv_heads * d.prefix.head_dim, type);
  embedding_ = ops.allocate(kMaxSteps + 1, d.expert.width, DType::F32);
  condition_ = ops.allocate(kMaxSteps + 1, d.expert.width, DType::F32);
  modulation_ = ops.allocate(kMaxSteps + 1, d.modulation_width(), DType::F32);
  x_ = ops.allocate(d.horizon, d.action_dim, DType::F32);
  velocities_ = ops.allocate(kMaxSteps * d.horizon, d.action_dim, DType::F32);
}

void Model::compute_modulation(int64_t steps) {
  if (steps == modulation_steps_) return;
  modulation_steps_ = 0;  // in case an operation throws
  times_ = flow_times(family_, steps);
  std::vector<float> times = times_;
  times.push_back(0.0f);
  const int64_t rows = steps + 1;
  ops_.upload(embedding_.rows_from(0, rows), embed_times(times, ops_.dims.expert.width).data());
  ops_.conditioning(embedding_.rows_from(0, rows), condition_.rows_from(0, rows), modulation_.rows_from(0, rows));
  modulation_steps_ = steps;
}

const Inputs& Model::stage_inputs(const Request& request, const Shape& shape) {
  const Dimensions& d = ops_.dims;
  const pi05_rtc& rtc = request.rtc;
  const int64_t steps = request.steps;
  compute_modulation(steps);

  // The previous chunk is padded with its last row. Without RTC it is 0, and so are all weights.
  auto& [prev_chunk, prefix_weights, frozen_mask, guidance_weights, time_row] = staged_;
  prev_chunk.assign(static_cast<size_t>(d.horizon * d.action_dim), 0);
  prefix_weights.assign(static_cast<size_t>(d.horizon), 0);
  frozen_mask.assign(static_cast<size_t>(d.horizon), 0);
  guidance_weights.assign(static_cast<size_t>(steps), 0);
  time_row.resize(static_cast<size_t>(steps * d.horizon));
  if (rtc.mode != PI05_RTC_NONE)
    for (int64_t r = 0; r < d.horizon; r++)
      std::copy_n(rtc.previous + std::min<int64_t>(r, rtc.previous_rows - 1) * d.action_dim, d.action_dim,
                  prev_chunk.begin() + r * d.action_dim);
  if (rtc.mode == PI05_RTC_GUIDED) {
    prefix_weights =
        pi05::prefix_weights(rtc.schedule, rtc.delay, std::min(rtc.execution_horizon, rtc.previous_rows), d.horizon);
    std::transform(times_.begin(), times_.end(), guidance_weights.begin(),
                   [&](float time) { return guidance_weight(time, rtc.max_weight); });
  }
  if (rtc.mode == PI05_RTC_TRAINED) std::fill_n(frozen_mask.begin(), rtc.delay, 1.0f);
  for (int64_t i = 0; i < steps * d.horizon; i++)
    time_row[static_cast<size_t>(i)] =
        static_cast<int32_t>(frozen_mask[static_cast<size_t>(i % d.horizon)] != 0 ? steps : i / d.horizon);

  Inputs host;
  host.images = request.images;
  host.tokens = request.tokens;
  host.noise = request.noise;
  host.prev_chunk = prev_chunk.data();
  host.prefix_weights = prefix_weights.data();
  host.frozen_mask = frozen_mask.data();
  host.guidance_weights = guidance_weights.data();
  host.times = times_.data();
  host.time_row = time_row.data();
  return ops_.upload(shape, host);
}

void Model::compute(const Inputs& in, const Shape& shape) {
  const auto cameras = static_cast<int64_t>(shape.images.size());
  const int64_t image_rows = cameras * ops_.dims.vision.patches(), rows = image_rows + shape.tokens;
  const Matrix patches = patches_.rows_from(0, image_rows), images = stream_.rows_from(0, image_rows);
  ops_.patches(in.images, resize_, patches);
  ops_.vision(patches, cameras, images);
  if (shape.trace) ops_.copy(images, image_rows_.rows_from(0, image_rows));
  ops_.embed(in.tokens, stream_.rows_from(image_rows, shape.tokens));
  ops_.prefix(stream_.rows_from(0, rows), cache_);
  ops_.flow(in, shape.steps, rows, cache_, modulation_, x_, velocities_);
}

void Model::prepare(const Request& request) {
  if (!ops_.captures_graphs()) return;
  Shape shape{request.images, request.token_count, request.steps, false};
  const Inputs& in = stage_inputs(request, shape);
  for (shape.tokens = 1; shape.tokens <= ops_.dims.max_tokens; shape.tokens++)
    ops_.prepare(shape, [&] { compute(in, shape); });
}

void Model::infer(const Request& request, float* actions, const Trace& trace) {
  const Shape shape{request.images, request.token_count, request.steps, static_cast<bool>(trace)};
  const Inputs& in = stage_inputs(request, shape);
  ops_.run(shape, [&] { compute(in, shape); });
  ops_.download(x_, actions);
  if (trace) trace_all(request, trace);
}

void Model::trace_all(const Request& request, const Trace& trace) {
  const Dimensions& d = ops_.dims;
  std::vector<float> values;
  const auto download = [&](const std::string& name, const Matrix& matrix, bool vector = false) {
    values.resize(static_cast<size_t>(matrix.rows * matrix.cols));
    ops_.download(matrix, values.data());
    if (vector)
      trace(name.c_str(), values.data(), {matrix.cols});
    else
      trace(name.c_str(), values.data(), {matrix.rows, matrix.cols});
  };
  const int64_t patches = d.vision.patches();
  for (size_t i = 0; i < request.images.size(); i++)
    download("siglip_" + std::to_string(request.slots[i]),
             image_rows_.rows_from(static_cast<int64_t>(i) * patches, patches));
  const int64_t rows = static_cast<int64_t>(request.images.size()) * patches + request.token_count;
  // Downloads the first `block_rows` rows of each of `count` blocks, which are `pitch` rows apart. Their names are
  // name0, name1, …, except for the last one: it is called namelast. A single block is traced under both names.
  const auto download_each = [&](const std::string& name, int64_t count, const Matrix& from, int64_t pitch,
                                 int64_t block_rows) {
    for (int64_t i = 0; i < count; i++) {
      const Matrix block = from.rows_from(i * pitch, block_rows);
      if (i == 0 || i < count - 1) download(name + std::to_string(i), block);
      if (i == count - 1) download(name + "last", block);
    }
  };
  download_each("prefix_k_", d.prefix.layers, cache_.k, cache_.capacity, rows);
  download_each("prefix_v_", d.prefix.layers, cache_.v, cache_.capacity, rows);
  download("time_cond_0", condition_.rows_from(0, 1), true);
  download_each("v_t_", request.steps, velocities_, d.horizon, d.horizon);
}

}  // namespace pi05
