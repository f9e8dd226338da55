// Memory, weights and inputs of the CPU backend.
#include "backend/cpu/cpu_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/resize.h"
#include "backend/cpu/vecmath.h"
#include "backend/resample.h"

namespace pi05 {

CpuOps::CpuOps(const Dimensions& dimensions, int threads, bool low_priority)
    : ReferenceOps(dimensions), pool_(threads, low_priority) {
  const int64_t half = dims.prefix.head_dim / 2;
  for (int64_t position = 0; position < dims.max_prefix() + dims.horizon; position++)
    for (int64_t i = 0; i < half; i++) {
      const double angle =
          static_cast<double>(position) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      cosine_.push_back(static_cast<float>(std::cos(angle)));
      sine_.push_back(static_cast<float>(std::sin(angle)));
    }
}

void CpuOps::load(const Weights& host) {
  weights_ = host;
  const auto to_fp32 = [this](Tensor& tensor) {
    if (tensor.dtype == DType::F32) return;
    std::vector<float> values(static_cast<size_t>(tensor.rows * tensor.cols));
    widen(tensor.data, tensor.dtype, values.data(), tensor.rows * tensor.cols);
    tensor.data = values.data();
    tensor.dtype = DType::F32;
    fp32_copies_.push_back(std::move(values));
  };
  Weights& w = weights_;
  to_fp32(w.position);
  for (Affine* affine : {&w.patch, &w.projector, &w.final_norm, &w.action_in, &w.action_out, &w.time_in, &w.time_out})
    to_fp32(affine->bias);
  const auto norm = [&](Affine& affine) {
    to_fp32(affine.weight);
    to_fp32(affine.bias);
  };
  norm(w.vision_norm);
  for (VisionLayer& layer : w.vision) {
    norm(layer.norm1);
    norm(layer.norm2);
    for (Affine* affine : {&layer.q, &layer.k, &layer.v, &layer.out, &layer.fc1, &layer.fc2}) to_fp32(affine->bias);
  }
  for (PrefixLayer& layer : w.prefix) {
    to_fp32(layer.input_norm);
    to_fp32(layer.post_norm);
  }
  for (ExpertLayer& layer : w.expert) {
    to_fp32(layer.input_norm.bias);
    to_fp32(layer.post_norm.bias);
  }
}

Matrix CpuOps::allocate(int64_t rows, int64_t cols, DType dtype) {
  memory_.emplace_back(new float[static_cast<size_t>(rows * cols)]());
  return {memory_.back().get(), dtype, rows, cols, cols};
}

const Inputs& CpuOps::upload(const Shape&, const Inputs& host) {
  inputs_ = host;  // no copy: this backend computes in host memory
  return inputs_;
}

void CpuOps::upload(const Matrix& to, const float* host) {
  copy({const_cast<float*>(host), DType::F32, to.rows, to.cols, to.cols}, to);
}

void CpuOps::run(const Shape&, const std::function<void()>& enqueue) { enqueue(); }

void CpuOps::download(const Matrix& from, float* host) {
  copy(from, {host, DType::F32, from.rows, from.cols, from.cols});
}

Matrix CpuOps::scratch(int64_t rows, int64_t cols) {
  if (scratch_.size() < static_cast<size_t>(rows * cols)) scratch_.resize(static_cast<size_t>(rows * cols));
  return {scratch_.data(), DType::F32, rows, cols, cols};
}

void CpuOps::for_each_row(int64_t rows, const std::function<void(int64_t)>& body) {
  pool_.run(rows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) body(r);
  });
}

void CpuOps::patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) {
  const int64_t size = dims.vision.image_size, patch = dims.vision.patch, side = dims.vision.side();
  std::vector<float> pixels(static_cast<size_t>(size * size * 3));
  std::vector<uint8_t> bytes(resize == PI05_RESIZE_PILLOW ? pixels.size() : 0);
  for (size_t camera = 0; camera < images.size(); camera++) {
    if (resize == PI05_RESIZE_PILLOW) {
      resize_pillow(pool_, images[camera], size, bytes.data());
      for (size_t i = 0; i < bytes.size(); i++) pixels[i] = static_cast<float>(bytes[i]) / 255.0f * 2.0f - 1.0f;
    } else {
      resize_lerobot(pool_, images[camera], size, lerobot_border(resize), pixels.data());
      for (float& value : pixels) value = value * 2.0f - 1.0f;
    }
    const int64_t first_row = static_cast<int64_t>(camera) * side * side;
    for_each_row(side * side, [&](int64_t index) {
      const int64_t top = index / side * patch, left = index % side * patch;
      float* to = row(out, first_row + index);
      for (int64_t c = 0; c < 3; c++)
        for (int64_t y = 0; y < patch; y++)
          for (int64_t x = 0; x < patch; x++)
            *to++ = pixels[static_cast<size_t>(((top + y) * size + left + x) * 3 + c)];
    });
  }
}

void CpuOps::embed(const int32_t* tokens, const Matrix& out) {
  const Tensor& table = weights_.embedding;
  const float scale = std::sqrt(static_cast<float>(table.cols));
  for_each_row(out.rows, [&](int64_t r) {
    float* to = row(out, r);
    widen(static_cast<const char*>(table.data) + tokens[r] * table.cols * bytes_of(table.dtype), table.dtype, to,
          table.cols);
    for (int64_t i = 0; i < table.cols; i++) to[i] *= scale;
  });
}

}  // namespace pi05
