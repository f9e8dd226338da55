// Copies weights to the GPU. Matrices have the type of the activations they multiply. A layer's q, k and v are stacked
// into one matrix; so are gate and up in the expert, while the prefix interleaves them. The prefix's matrices may be
// e4m3 with a scale for each row, all but o. Norms, the time MLP, modulation and action projections are fp32.
#include "backend/cuda/weights.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "backend/cuda/check.h"
#include "backend/cuda/kernels/expert.h"
#include "backend/cuda/kernels/kernels.h"

namespace pi05 {
namespace {

constexpr int64_t kStagingBytes = 64 << 20;

}  // namespace

// Fills a CudaWeights.
class CudaWeights::Loader {
 public:
  Loader(CudaWeights& into, const Dimensions& dims, const Types& types, cudaStream_t stream)
      : into_(into),
        dims_(dims),
        type_(types.matrices),
        vision_type_(types.vision),
        fp8_prefix_(types.fp8_prefix),
        stream_(stream) {}
  void load(const Weights& host);

 private:
  void* memory(int64_t bytes) {
    into_.memory_.emplace_back(bytes);
    return into_.memory_.back().as<void>();
  }
  Tensor place(const Tensor& host, DType type, const Matrix* to = nullptr);
  Fused fuse(std::vector<const Affine*> parts, DType type);
  void interleave(Tensor& gate, Tensor& up);
  kernels::Fp8Tensor quantize(const std::vector<Tensor>& parts, int64_t interleave = 0);
  void quantize_prefix(const Weights& host);
  void pack_expert();

  CudaWeights& into_;
  const Dimensions& dims_;
  const DType type_, vision_type_;
  const bool fp8_prefix_;
  const cudaStream_t stream_;
  DeviceMemory staging_, stacked_;
};

// Converts on the GPU, a block of rows at a time, into `to` or into new memory.
Tensor CudaWeights::Loader::place(const Tensor& host, DType type, const Matrix* to) {
  const int64_t cols = host.rows == 1 || type == DType::F32 ? host.cols : padded_stride(host.cols);
  Matrix target;
  if (to) {
    target = *to;
  } else {
    target = {memory(host.rows * cols * bytes_of(type)), type, host.rows, cols, cols};
  }
  const int64_t row_bytes = host.cols * bytes_of(host.dtype);
  if (host.dtype == type && target.cols == host.cols) {
    check(cudaMemcpyAsync(target.data, host.data, static_cast<size_t>(host.rows * row_bytes), cudaMemcpyHostToDevice,
                          stream_),
          "cudaMemcpyAsync (weights)");
  } else {
    const int64_t block = std::max<int64_t>(1, kStagingBytes / row_bytes);
    if (staging_.bytes() < std::max(row_bytes, kStagingBytes))
      staging_ = DeviceMemory(std::max(row_bytes, kStagingBytes));
    for (int64_t row = 0; row < host.rows; row += block) {
      const int64_t rows = std::min(block, host.rows - row);
      check(cudaMemcpyAsync(staging_.as<void>(), static_cast<const char*>(host.data) + row * row_bytes,
                            static_cast<size_t>(rows * row_bytes), cudaMemcpyHostToDevice, stream_),
            "cudaMemcpyAsync (weights)");
      check(kernels::pad(staging_.as<void>(), host.dtype, rows, host.cols, target.rows_from(row, rows), stream_),
            "kernel pad (weights)");
    }
  }
  return {target.data, type, target.rows, target.cols};
}

CudaWeights::Fused CudaWeights::Loader::fuse(std::vector<const Affine*> parts, DType type) {
  int64_t rows = 0;
  for (const Affine* part : parts) rows += part->weight.rows;
  const int64_t cols = parts[0]->weight.cols, stride = padded_stride(cols);
  const Matrix weight{memory(rows * stride * bytes_of(type)), type, rows, cols, stride};
  Fused fused;
  fused.weight = {weight.data, type, rows, weight.stride};
  const bool has_bias = parts[0]->bias.data;
  const Matrix bias = has_bias ? Matrix{memory(rows * bytes_of(type)), type, 1, rows, rows} : Matrix{};
  fused.bias = {bias.data, type, 1, rows};
  int64_t first = 0;
  for (const Affine* part : parts) {
    Matrix rows_of_part = weight.rows_from(first, part->weight.rows);
    rows_of_part.cols = weight.stride;
    place(part->weight, type, &rows_of_part);
    if (has_bias) {
      const Matrix bias_of_part = bias.cols_from(first, part->bias.cols);
      place(part->bias, type, &bias_of_part);
    }
    first += part->weight.rows;
  }
  return fused;
}

void CudaWeights::Loader::interleave(Tensor& gate, Tensor& up) {
  const int64_t rows = 2 * gate.rows, stride = padded_stride(gate.cols), bytes = rows * stride * bytes_of(type_);
  if (stacked_.bytes() < bytes) stacked_ = DeviceMemory(bytes);
  const Matrix both{stacked_.as<void>(), type_, rows, stride, stride};
  const Matrix first = both.rows_from(0, gate.rows), second = both.rows_from(gate.rows, gate.rows);
  const Matrix interleaved{memory(bytes), type_, rows, gate.cols, stride};
  check(kernels::interleave(place(gate, type_, &first), place(up, type_, &second), kernels::kInterleave, interleaved,
                            stream_),
        "kernel interleave (weights)");
  gate = up = {interleaved.data, type_, gate.rows, stride};
}

// The rows of all parts, one part below the other, or of two parts alternating in groups of `interleave` rows. A block
// of rows at a time is on the GPU in the type of the checkpoint.
kernels::Fp8Tensor CudaWeights::Loader::quantize(const std::vector<Tensor>& parts, int64_t interleave) {
  int64_t rows = 0;
  for (const Tensor& part : parts) rows += part.rows;
  const int64_t cols = parts[0].cols;
  const kernels::Fp8Matrix to{{memory(rows * cols), DType::E4M3, rows, cols, cols},
                              static_cast<float*>(memory(rows * static_cast<int64_t>(sizeof(float))))};
  if (staging_.bytes() < kStagingBytes) staging_ = DeviceMemory(kStagingBytes);
  int64_t first = 0;
  for (size_t i = 0; i < parts.size(); i++) {
    const Tensor& part = parts[i];
    const int64_t row_bytes = cols * bytes_of(part.dtype), block = kStagingBytes / row_bytes;
    for (int64_t row = 0; row < part.rows; row += block) {
      const Matrix from{staging_.as<void>(), part.dtype, std::min(block, part.rows - row), cols, cols};
      check(cudaMemcpyAsync(from.data, static_cast<const char*>(part.data) + row * row_bytes,
                            static_cast<size_t>(from.rows * row_bytes), cudaMemcpyHostToDevice, stream_),
            "cudaMemcpyAsync (weights)");
      check(kernels::quantize_rows(from, to, {first + row, interleave, static_cast<int64_t>(i)}, stream_),
            "kernel quantize_rows (weights)");
    }
    if (interleave == 0) first += part.rows;
  }
  return {{to.values.data, DType::E4M3, rows, cols}, to.scale};
}

void CudaWeights::Loader::quantize_prefix(const Weights& host) {
  for (size_t i = 0; i < host.prefix.size(); i++) {
    const PrefixLayer& from = host.prefix[i];
    Fp8PrefixLayer to;
    to.qkv = quantize({from.q, from.k, from.v});
    PrefixLayer& placed = into_.placed_.prefix[i];
    placed = PrefixLayer();
    placed.input_norm = place(from.input_norm, DType::F32), placed.post_norm = place(from.post_norm, DType::F32);
    if (i + 1 < host.prefix.size()) {
      placed.o = place(from.o, type_);
      to.gate_up = quantize({from.gate, from.up}, kernels::kInterleave);
      to.down = quantize({from.down});
    }
    into_.fp8_prefix_.push_back(to);
  }
}

void CudaWeights::Loader::load(const Weights& host) {
  into_.placed_ = host;
  Weights& w = into_.placed_;
  const auto part = [](const Fused& all, int64_t first, int64_t rows) {
    const auto* bytes = static_cast<const char*>(all.weight.data);
    const auto* bias = static_cast<const char*>(all.bias.data);
    return Affine{
        {bytes + first * all.weight.cols * bytes_of(all.weight.dtype), all.weight.dtype, rows, all.weight.cols},
        {bias ? bias + first * bytes_of(all.bias.dtype) : nullptr, all.bias.dtype, 1, rows}};
  };
  const auto place_f32 = [this](Tensor& tensor) { tensor = place(tensor, DType::F32); };
  const auto place_both_f32 = [&](Affine& affine) { place_f32(affine.weight), place_f32(affine.bias); };
  const auto place_matrix = [this](Tensor& tensor) { tensor = place(tensor, type_); };
  // A bias has the type of the matrix it is added to.
  const auto place_vision = [&](Affine& affine, DType bias_type) {
    affine.weight = place(affine.weight, vision_type_);
    affine.bias = place(affine.bias, bias_type);
  };

  place_vision(w.patch, DType::F32);
  place_f32(w.position);
  for (VisionLayer& layer : w.vision) {
    place_both_f32(layer.norm1), place_both_f32(layer.norm2);
    const Fused qkv = fuse({&layer.q, &layer.k, &layer.v}, vision_type_);
    const int64_t hidden = layer.q.weight.rows;
    layer.q = part(qkv, 0, hidden), layer.k = part(qkv, hidden, hidden), layer.v = part(qkv, 2 * hidden, hidden);
    into_.vision_qkv_.push_back(qkv);
    place_vision(layer.out, DType::F32), place_vision(layer.fc1, vision_type_), place_vision(layer.fc2, DType::F32);
  }
  place_both_f32(w.vision_norm);
  place_vision(w.projector, DType::F32);
  place_matrix(w.embedding);

  // The matrices that prefix and expert layers have in common.
  const auto place_gemma = [&](auto& layer, std::vector<Fused>& fused) {
    const Affine q{layer.q, {}}, k{layer.k, {}}, v{layer.v, {}};
    const Fused qkv = fuse({&q, &k, &v}, type_);
    layer.q = part(qkv, 0, q.weight.rows).weight;
    layer.k = part(qkv, q.weight.rows, k.weight.rows).weight;
    layer.v = part(qkv, q.weight.rows + k.weight.rows, v.weight.rows).weight;
    fused.push_back(qkv);
    place_matrix(layer.o), place_matrix(layer.down);
  };
  const auto stack = [&](Tensor& gate, Tensor& up) {
    const Affine first{gate, {}}, second{up, {}};
    const Fused both = fuse({&first, &second}, type_);
    gate = part(both, 0, gate.rows).weight, up = part(both, gate.rows, up.rows).weight;
  };
  if (fp8_prefix_) quantize_prefix(host);
  for (PrefixLayer& layer : w.prefix) {
    if (fp8_prefix_) break;
    place_f32(layer.input_norm), place_f32(layer.post_norm);
    place_gemma(layer, into_.prefix_qkv_);
    if (layer.gate.rows % kernels::kInterleave == 0)
      interleave(layer.gate, layer.up);
    else
      stack(layer.gate, layer.up);
  }
  for (ExpertLayer& layer : w.expert) {
    place_both_f32(layer.input_norm), place_both_f32(layer.post_norm);
    place_gemma(layer, into_.expert_qkv_);
    stack(layer.gate, layer.up);
  }
  for (Affine* projection : {&w.final_norm, &w.action_in, &w.action_out, &w.time_in, &w.time_out})
    place_both_f32(*projection);
  if (type_ == DType::BF16 && kernels::expert_flow_supported(dims_)) pack_expert();
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize (weights)");
}

void CudaWeights::Loader::pack_expert() {
  into_.packed_expert_ = DeviceMemory(kernels::expert_weight_bytes(dims_.expert.layers));
  for (int64_t i = 0; i < dims_.expert.layers; i++) {
    const ExpertLayer& layer = into_.placed_.expert[static_cast<size_t>(i)];
    const Tensor gate_up{layer.gate.data, type_, 2 * layer.gate.rows, layer.gate.cols};
    check(kernels::pack_expert(i, into_.expert_qkv_[static_cast<size_t>(i)].weight, layer.o, gate_up, layer.down,
                               into_.packed_expert_.as<void>(), stream_),
          "kernel pack_expert");
  }
}

std::shared_ptr<const CudaWeights> CudaWeights::load(const Weights& host, const Dimensions& dims, const Types& types,
                                                     cudaStream_t stream) {
  static std::mutex loading;
  static std::map<std::string, std::weak_ptr<const CudaWeights>> in_use;
  const std::lock_guard<std::mutex> lock(loading);
  const std::string key = host.source + name_of(types.matrices) + (types.fp8_prefix ? "+E4M3" : "") +
                          std::string(reinterpret_cast<const char*>(&dims), sizeof dims);
  if (!host.source.empty())
    if (std::shared_ptr<const CudaWeights> loaded = in_use[key].lock()) return loaded;
  const auto weights = std::make_shared<CudaWeights>();
  Loader(*weights, dims, types, stream).load(host);
  if (!host.source.empty()) in_use[key] = weights;
  return weights;
}

}  // namespace pi05
