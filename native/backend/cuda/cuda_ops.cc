// Memory, order and primitives of the CUDA backend.
#include "backend/cuda/cuda_ops.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cuda/check.h"
#include "backend/cuda/kernels/expert.h"
#include "backend/cuda/kernels/gpu.h"

namespace pi05 {
namespace {

constexpr int64_t kMostParts = 4;
constexpr size_t kMostRecordings = 512;
constexpr int64_t kPartialBytes = 16 << 20;  // of attention split among blocks

uint16_t narrowed(float value, DType to) {
  return to == DType::F16 ? __half_as_ushort(__float2half_rn(value)) : __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

float widened(uint16_t bits, DType from) {
  return from == DType::F16 ? __half2float(__ushort_as_half(bits)) : __bfloat162float(__ushort_as_bfloat16(bits));
}

}  // namespace

CudaOps::CudaOps(const Dimensions& dimensions, CudaPrecision precision)
    : Ops(dimensions),
      type_(precision == CudaPrecision::F32 ? DType::F32 : DType::BF16),
      partial_(kPartialBytes),
      images_(static_cast<size_t>(dimensions.slots)) {
  const int64_t half = dims.prefix.head_dim / 2, positions = dims.max_prefix() + dims.horizon;
  std::vector<float2> turns;
  for (int64_t position = 0; position < positions; position++)
    for (int64_t i = 0; i < half; i++) {
      const double angle =
          static_cast<double>(position) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      turns.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
    }
  cos_sin_ = DeviceMemory(static_cast<int64_t>(turns.size() * sizeof(float2)));
  check(cudaMemcpy(cos_sin_.as<void>(), turns.data(), turns.size() * sizeof(float2), cudaMemcpyHostToDevice),
        "a copy of the position table");
  lay_out_inputs();
}

CudaOps::~CudaOps() {
  cudaStreamSynchronize(stream_);
  forget_recordings();
  for (cudaEvent_t event : events_)
    if (event) cudaEventDestroy(event);
}

void CudaOps::load(const Weights& host) {
  loaded_ = CudaWeights::of(host, dims, type_, vision_type(), stream_);
  weights_ = loaded_->placed();
  if (loaded_->packed_expert().bytes() > 0) exchange_ = DeviceMemory(kernels::expert_exchange_bytes());
}

// Rows begin at multiples of 16 bytes, and products may read zeros past a row's end.
Matrix CudaOps::allocate(int64_t rows, int64_t cols, DType dtype) {
  const int64_t stride = (cols + 7) / 8 * 8;
  memory_.emplace_back(rows * stride * bytes_of(dtype));
  return {memory_.back().as<void>(), dtype, rows, cols, stride};
}

void CudaOps::reserve() {
  Ops::reserve();
  const auto& v = dims.vision;
  const auto& p = dims.prefix;
  const auto& e = dims.expert;
  const int64_t rows = std::max(dims.max_prefix(), dims.horizon);
  const int64_t columns =
      std::max({3 * v.hidden, (p.heads + 2 * p.kv_heads) * p.head_dim, (e.heads + 2 * e.kv_heads) * e.head_dim});
  qkv_ = allocate(rows, columns, type_);
  scratch(rows, 2 * std::max(p.mlp, e.mlp), type_);
  scratch(kMostParts * dims.max_prefix(), p.width, DType::F32);
  scratch(kMostParts * vision_.x.rows, v.hidden, DType::F32);
  scratch(kMostParts * dims.horizon, e.width, DType::F32);
  result_ = PinnedMemory(dims.horizon * dims.action_dim * 4);
}

Matrix CudaOps::qkv(int64_t rows, int64_t cols, DType type) const {
  return {qkv_.data, type, rows, cols, (cols + 7) / 8 * 8};
}

Matrix CudaOps::scratch(int64_t rows, int64_t cols, DType type) {
  const int64_t stride = (cols + 7) / 8 * 8, bytes = rows * stride * bytes_of(type);
  if (scratch_.bytes() < bytes) {
    if (recording_) throw Error(PI05_ENGINE_FAILED, "Expected scratch memory reserved, received a larger need");
    check(cudaStreamSynchronize(stream_), "earlier work");
    scratch_ = DeviceMemory(bytes);
  }
  return {scratch_.as<void>(), type, rows, cols, stride};
}

void CudaOps::upload(const Matrix& to, const float* host) {
  const auto row = static_cast<size_t>(to.cols);
  std::vector<uint16_t> rounded;
  const void* from = host;
  if (to.dtype != DType::F32) {
    rounded.resize(static_cast<size_t>(to.rows) * row);
    std::transform(host, host + rounded.size(), rounded.begin(),
                   [&](float value) { return narrowed(value, to.dtype); });
    from = rounded.data();
  }
  const auto bytes = static_cast<size_t>(bytes_of(to.dtype));
  check(cudaMemcpy2DAsync(to.data, static_cast<size_t>(to.stride) * bytes, from, row * bytes, row * bytes,
                          static_cast<size_t>(to.rows), cudaMemcpyHostToDevice, stream_),
        "an upload");
  check(cudaStreamSynchronize(stream_), "an upload");
}

void CudaOps::download(const Matrix& from, float* host) {
  const auto row = static_cast<size_t>(from.cols), values = static_cast<size_t>(from.rows) * row;
  const auto bytes = static_cast<size_t>(bytes_of(from.dtype));
  const bool small = static_cast<int64_t>(values * bytes) <= result_.bytes();
  std::vector<char> unpinned(small ? 0 : values * bytes);
  char* const to = small ? result_.data() : unpinned.data();
  check(cudaMemcpy2DAsync(to, row * bytes, from.data, static_cast<size_t>(from.stride) * bytes, row * bytes,
                          static_cast<size_t>(from.rows), cudaMemcpyDeviceToHost, stream_),
        "a download");
  if (measuring_) check(cudaEventRecord(events_[kStages], stream_), "a timestamp");
  check(cudaStreamSynchronize(stream_), "an inference");
  if (from.dtype == DType::F32) {
    std::memcpy(host, to, values * 4);
    return;
  }
  const auto* narrow = reinterpret_cast<const uint16_t*>(to);
  std::transform(narrow, narrow + values, host, [&](uint16_t bits) { return widened(bits, from.dtype); });
}

void CudaOps::forget_recordings() {
  if (recordings_.empty()) return;
  cudaStreamSynchronize(stream_);
  for (Recording& recording : recordings_) cudaGraphExecDestroy(recording.graph);
  recordings_.clear();
}

cudaGraphExec_t CudaOps::recorded(const Shape& shape, const std::function<void()>& record) {
  const auto known = std::find_if(recordings_.begin(), recordings_.end(), [&](const Recording& recording) {
    return recording.shape == shape && recording.free == free_;
  });
  if (known != recordings_.end()) {
    recordings_.splice(recordings_.begin(), recordings_, known);
  } else {
    if (recordings_.size() == kMostRecordings) {
      check(cudaGraphExecDestroy(recordings_.back().graph), "the end of a recording");
      recordings_.pop_back();
    }
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "the start of a recording");
    recording_ = true;
    cudaGraph_t graph = nullptr;
    try {
      mark(-1);
      check(cudaMemcpyAsync(device_inputs_.as<void>(), host_inputs_.data(), static_cast<size_t>(input_bytes_),
                            cudaMemcpyHostToDevice, stream_),
            "a copy of inputs");
      for (size_t i = 0; i < shape.images.size(); i++)
        check(cudaMemcpyAsync(images_[i].device.as<void>(), images_[i].host.data(),
                              static_cast<size_t>(images_[i].used), cudaMemcpyHostToDevice, stream_),
              "a copy of an image");
      mark(static_cast<int>(Stage::Upload));
      record();
    } catch (...) {
      recording_ = false;
      cudaStreamEndCapture(stream_, &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaGetLastError();  // its failure is not the next launch's
      throw;
    }
    recording_ = false;
    check(cudaStreamEndCapture(stream_, &graph), "the end of a recording");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t result = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(result, "the recording's instantiation");
    recordings_.push_front({shape, free_, executable});
  }
  return recordings_.front().graph;
}

void CudaOps::run(const Shape& shape, const std::function<void()>& record) {
  check(cudaGraphLaunch(recorded(shape, record), stream_), "an inference");
}

void CudaOps::prepare(const Shape& shape, const std::function<void()>& record) {
  check(cudaGraphUpload(recorded(shape, record), stream_), "a recording's upload");
}

void CudaOps::measure_stages() {
  for (cudaEvent_t& event : events_)
    if (!event) check(cudaEventCreate(&event), "an event");
  measuring_ = true;
  forget_recordings();
}

// Event 0 is the beginning, event i + 1 the end of stage i.
void CudaOps::mark(int event) {
  if (!measuring_ || !recording_) return;
  check(cudaEventRecordWithFlags(events_[static_cast<size_t>(event + 1)], stream_, cudaEventRecordExternal),
        "a timestamp");
}

std::array<float, kStages> CudaOps::stage_times() {
  std::array<float, kStages> times{};
  for (size_t i = 0; i < kStages; i++)
    check(cudaEventElapsedTime(&times[i], events_[i], events_[i + 1]), "a time between two events");
  return times;
}

void CudaOps::embed(const int32_t* tokens, const Matrix& out) {
  check(kernels::embed(tokens, weights_.embedding, std::sqrt(static_cast<float>(dims.prefix.width)), out, stream_),
        "an embedding");
}

void CudaOps::linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) {
  if (x.dtype != weight.dtype)
    check(kernels::gemv(x, weight, bias ? static_cast<const float*>(bias->data) : nullptr, out, stream_),
          "a matrix-vector product");
  else
    gemm_.run(x, weight, {bias ? bias->data : nullptr, false, false}, out, stream_);
}

void CudaOps::linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) {
  gemm_.run(x, weight, {bias ? bias->data : nullptr, true, false}, out, stream_);
}

// gate and up lie in one place where their rows take turns, or one below the other.
void CudaOps::gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out) {
  const Tensor all{gate.data, gate.dtype, 2 * gate.rows, gate.cols};
  const bool turns = up.data == gate.data;
  if (turns && kernels::geglu_gemm_supported(x, all, out)) {
    check(kernels::geglu_gemm(x, all, out, stream_), "a gated product");
    return;
  }
  const auto* below = static_cast<const char*>(gate.data) + gate.rows * gate.cols * bytes_of(gate.dtype);
  if (up.data == below && kernels::skinny_gemm_supported(x, all)) {
    check(kernels::skinny_gemm_geglu(x, all, out, stream_), "a gated product of few rows");
    return;
  }
  const Matrix both = scratch(out.rows, 2 * gate.rows, out.dtype);
  if (turns || up.data == below) {
    gemm_.run(x, all, {}, both, stream_);
  } else {
    gemm_.run(x, gate, {}, both.cols_from(0, gate.rows), stream_);
    gemm_.run(x, up, {}, both.cols_from(gate.rows, gate.rows), stream_);
  }
  check(kernels::geglu(both, turns ? kernels::kInterleave : gate.rows, out, stream_), "a gated GELU");
}

void CudaOps::linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream) {
  gemm_.run(x, weight, {bias ? bias->data : nullptr, false, true}, stream, stream_);
}

// By measurement on an H200: parts pay where tiles of 128 by 256 leave most multiprocessors idle. Norms read parts
// whose rows follow one another without a gap, and parts of columns begin at multiples of 16 bytes.
kernels::SplitKPartials CudaOps::linear_split_k(const Matrix& x, const Tensor& weight, const Matrix& stream) {
  const int64_t tiles = (x.rows + 127) / 128 * ((weight.rows + 255) / 256);
  const int64_t processors = kernels::gpu().multiprocessors;
  const int64_t count = processors >= 5 * tiles ? kMostParts : 2 * processors >= 5 * tiles ? 2 : 1;
  if (count == 1 || type_ != DType::BF16 || weight.cols % (8 * count) != 0 || weight.rows % 8 != 0) {
    linear_add(x, weight, nullptr, stream);
    return {};
  }
  const Matrix parts = scratch(count * x.rows, weight.rows, DType::F32);
  gemm_.run_split_k(x, weight, count, parts, stream_);
  return kernels::split_k_partials(parts, count);
}

void CudaOps::linear_gated_add(const Matrix& x, const Tensor& weight, const Matrix& gate, const int32_t* time_row,
                               const Matrix& stream) {
  const Matrix product = scratch(stream.rows, stream.cols, DType::F32);
  gemm_.run(x, weight, {}, product, stream_);
  check(kernels::gated_add(product, gate, time_row, stream, stream_), "a gated sum");
}

CudaOps::PendingResidual CudaOps::gated_split_k(const Matrix& x, const Tensor& weight, const Matrix& gate) {
  const bool few = kernels::skinny_gemm_supported(x, weight);
  const int64_t count = few && x.cols % (64 * kMostParts) == 0 ? kMostParts : 1;
  Matrix parts = scratch(count * x.rows, weight.rows, DType::F32);
  parts.stride = parts.cols;  // as norms read them
  if (few)
    check(kernels::skinny_gemm_split_k(x, weight, count, parts, stream_), "a product in parts");
  else
    gemm_.run(x, weight, {}, parts, stream_);
  return {kernels::split_k_partials(parts, count), static_cast<const float*>(gate.data)};
}

void CudaOps::layer_norm(const Matrix& x, const Affine& norm, const Matrix& out) {
  check(kernels::layer_norm(x, norm, out, {}, stream_), "a LayerNorm");
}

void CudaOps::rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out) {
  check(kernels::rms_norm(x, weight, out, {}, stream_), "an RMSNorm");
}

void CudaOps::adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out) {
  adaptive_rms_norm(x, modulation, time_row, out, {});
}

void CudaOps::adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                                const PendingResidual& before) {
  check(kernels::adaptive_rms_norm(x, modulation, time_row, out, before.parts, before.gate, stream_),
        "an adaptive RMSNorm");
}

void CudaOps::rope(const Matrix& x, int64_t heads, int64_t first) {
  check(kernels::rope(x, heads, first, cos_sin_.as<float2>(), stream_), "a position embedding");
}

void CudaOps::attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                        const Matrix& out) {
  check(kernels::attention(q, k, v, shape, out, partial_.as<void>(), partial_.bytes(), stream_), "an attention");
}

void CudaOps::silu(const Matrix& x) { check(kernels::silu(x, stream_), "a SiLU"); }

void CudaOps::copy(const Matrix& from, const Matrix& to) { check(kernels::copy(from, to, stream_), "a copy"); }

void CudaOps::start(const Inputs& in, const Matrix& x) { check(kernels::start(in, x, stream_), "the flow's start"); }

void CudaOps::euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x) {
  check(kernels::euler_step(in, step, steps, velocity, x, stream_), "an Euler step");
}

}  // namespace pi05
