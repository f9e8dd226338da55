// Memory, order and operations of the CUDA backend.
#include "backend/cuda/cuda_ops.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/conditioning.h"
#include "backend/cuda/check.h"
#include "backend/cuda/kernels/expert.h"
#include "backend/cuda/kernels/gpu.h"
#include "backend/resample.h"

namespace pi05 {
namespace {

constexpr int64_t kMaxSplits = 4;                       // the most partial products that the norms add
constexpr int64_t kAttentionWorkspaceBytes = 16 << 20;  // for attention that splits the keys among blocks

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
      fp8_(precision == CudaPrecision::FP8),
      attention_workspace_(kAttentionWorkspaceBytes),
      staging_(dimensions),
      graphs_(stream_) {
  const int64_t half = dims.prefix.head_dim / 2, positions = dims.max_prefix() + dims.horizon;
  std::vector<float2> table;
  for (int64_t position = 0; position < positions; position++)
    for (int64_t i = 0; i < half; i++) {
      const double angle =
          static_cast<double>(position) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      table.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
    }
  cos_sin_ = DeviceMemory(static_cast<int64_t>(table.size() * sizeof(float2)));
  check(cudaMemcpy(cos_sin_.as<void>(), table.data(), table.size() * sizeof(float2), cudaMemcpyHostToDevice),
        "cudaMemcpy (RoPE table)");
}

CudaOps::~CudaOps() {
  cudaStreamSynchronize(stream_);
  for (cudaEvent_t event : events_)
    if (event) cudaEventDestroy(event);
}

void CudaOps::load(const Weights& host) {
  loaded_ = CudaWeights::load(host, dims, {type_, vision_type(), fp8_}, stream_);
  weights_ = loaded_->placed();
  if (loaded_->packed_expert().bytes() > 0) expert_exchange_ = DeviceMemory(kernels::expert_exchange_bytes());
}

// Matrix products may read the zeros between a row's end and the next row.
Matrix CudaOps::allocate(int64_t rows, int64_t cols, DType dtype) {
  const int64_t stride = padded_stride(cols, dtype == DType::E4M3 ? 16 : 8);
  memory_.emplace_back(rows * stride * bytes_of(dtype));
  return {memory_.back().as<void>(), dtype, rows, cols, stride};
}

void CudaOps::reserve() {
  const auto& v = dims.vision;
  const auto& p = dims.prefix;
  const auto& e = dims.expert;
  const int64_t image_rows = dims.slots * v.patches(), max_prefix = dims.max_prefix();
  vision_.x = allocate(image_rows, v.hidden, DType::F32);
  vision_.norm = allocate(image_rows, v.hidden, vision_type());
  vision_.att = allocate(image_rows, v.hidden, vision_type());
  vision_.mid = allocate(image_rows, v.mlp, vision_type());
  prefix_.norm = allocate(max_prefix, p.width, type_);
  prefix_.att = allocate(max_prefix, p.heads * p.head_dim, type_);
  prefix_.mid = allocate(max_prefix, p.mlp, type_);
  if (fp8_) {
    prefix_fp8_.norm = allocate_fp8(max_prefix, p.width);
    prefix_fp8_.mid = allocate_fp8(max_prefix, p.mlp);
  }
  expert_.h = allocate(dims.horizon, e.width, DType::F32);
  expert_.norm = allocate(dims.horizon, e.width, type_);
  expert_.att = allocate(dims.horizon, e.heads * e.head_dim, type_);
  expert_.mid = allocate(dims.horizon, e.mlp, type_);

  const int64_t rows = std::max(max_prefix, dims.horizon);
  const int64_t columns =
      std::max({3 * v.hidden, (p.heads + 2 * p.kv_heads) * p.head_dim, (e.heads + 2 * e.kv_heads) * e.head_dim});
  qkv_ = allocate(rows, columns, type_);
  scratch(rows, 2 * std::max(p.mlp, e.mlp), type_);
  scratch(kMaxSplits * max_prefix, p.width, DType::F32);
  scratch(kMaxSplits * image_rows, v.hidden, DType::F32);
  scratch(kMaxSplits * dims.horizon, e.width, DType::F32);
  result_ = PinnedMemory(dims.horizon * dims.action_dim * 4);
}

Matrix CudaOps::qkv_buffer(int64_t rows, int64_t cols, DType type) const {
  return {qkv_.data, type, rows, cols, padded_stride(cols)};
}

Matrix CudaOps::scratch(int64_t rows, int64_t cols, DType type) {
  const int64_t stride = padded_stride(cols), bytes = rows * stride * bytes_of(type);
  if (scratch_.bytes() < bytes) {
    if (graphs_.capturing())
      throw Error(PI05_ENGINE_FAILED, "Expected at most " + std::to_string(scratch_.bytes()) +
                                          " bytes of scratch memory, as reserved, received a need for " +
                                          std::to_string(bytes));
    graphs_.clear();  // they use the old address
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize (before new scratch memory)");
    scratch_ = DeviceMemory(bytes);
  }
  return {scratch_.as<void>(), type, rows, cols, stride};
}

const Inputs& CudaOps::upload(const Shape& shape, const Inputs& host) {
  return staging_.stage(shape, host, [this] { graphs_.clear(); });
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
        "cudaMemcpy2DAsync (upload)");
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize (upload)");
}

void CudaOps::download(const Matrix& from, float* host) {
  const auto row = static_cast<size_t>(from.cols), values = static_cast<size_t>(from.rows) * row;
  const auto bytes = static_cast<size_t>(bytes_of(from.dtype));
  const bool small = static_cast<int64_t>(values * bytes) <= result_.bytes();
  std::vector<char> unpinned(small ? 0 : values * bytes);
  char* const to = small ? result_.data() : unpinned.data();
  check(cudaMemcpy2DAsync(to, row * bytes, from.data, static_cast<size_t>(from.stride) * bytes, row * bytes,
                          static_cast<size_t>(from.rows), cudaMemcpyDeviceToHost, stream_),
        "cudaMemcpy2DAsync (download)");
  if (measuring_) check(cudaEventRecord(events_[kStages], stream_), "cudaEventRecord");
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize (inference)");
  if (from.dtype == DType::F32) {
    std::memcpy(host, to, values * 4);
    return;
  }
  const auto* narrow = reinterpret_cast<const uint16_t*>(to);
  std::transform(narrow, narrow + values, host, [&](uint16_t bits) { return widened(bits, from.dtype); });
}

void CudaOps::enqueue_inference(const std::function<void()>& enqueue) {
  mark(-1);
  staging_.enqueue_copies(stream_);
  mark(static_cast<int>(Stage::Upload));
  enqueue();
}

void CudaOps::run(const Shape& shape, const std::function<void()>& enqueue) {
  graphs_.launch({shape, staging_.frozen_rows()}, [&] { enqueue_inference(enqueue); });
}

void CudaOps::prepare(const Shape& shape, const std::function<void()>& enqueue) {
  graphs_.prepare({shape, staging_.frozen_rows()}, [&] { enqueue_inference(enqueue); });
}

void CudaOps::measure_stages() {
  for (cudaEvent_t& event : events_)
    if (!event) check(cudaEventCreate(&event), "cudaEventCreate");
  measuring_ = true;
  graphs_.clear();
}

// Event 0 is the start of the inference, event i + 1 the end of stage i.
void CudaOps::mark(int stage) {
  if (!measuring_ || !graphs_.capturing()) return;
  check(cudaEventRecordWithFlags(events_[static_cast<size_t>(stage + 1)], stream_, cudaEventRecordExternal),
        "cudaEventRecordWithFlags");
}

std::array<float, kStages> CudaOps::stage_times() {
  std::array<float, kStages> times{};
  for (size_t i = 0; i < kStages; i++)
    check(cudaEventElapsedTime(&times[i], events_[i], events_[i + 1]), "cudaEventElapsedTime");
  return times;
}

void CudaOps::conditioning(const Matrix& embedding, const Matrix& condition, const Matrix& modulation) {
  compute_conditioning(*this, weights_, embedding, condition, modulation);
}

void CudaOps::patches(const std::vector<pi05_image>& images, pi05_resize resize, const Matrix& out) {
  const int64_t rows = dims.vision.patches();
  for (size_t i = 0; i < images.size(); i++) {
    const pi05_image& image = images[i];
    const Fit fit = fit_with_padding(image.width, image.height, dims.vision.image_size);
    const PixelLayout layout = layout_of(image.pixels);
    const kernels::Placement place{static_cast<int32_t>(fit.left),
                                   static_cast<int32_t>(fit.top),
                                   static_cast<int32_t>(dims.vision.image_size),
                                   static_cast<int32_t>(dims.vision.patch),
                                   static_cast<int32_t>(layout.bytes),
                                   static_cast<int32_t>(layout.channel[0]),
                                   static_cast<int32_t>(layout.channel[1]),
                                   static_cast<int32_t>(layout.channel[2])};
    const InputStaging::ResizeAxis &across = staging_.axis(image.width, fit.width),
                                   &down = staging_.axis(image.height, fit.height);
    const Matrix to = out.rows_from(static_cast<int64_t>(i) * rows, rows);
    if (resize == PI05_RESIZE_PILLOW)
      check(kernels::resize_pillow(image, across.pillow, down.pillow, place, staging_.resize_scratch(i), to, stream_),
            "kernel resize_pillow");
    else
      check(kernels::resize_lerobot(image, across.linear, down.linear, place, lerobot_border(resize), to, stream_),
            "kernel resize_lerobot");
  }
  mark(static_cast<int>(Stage::Resize));
}

void CudaOps::embed(const int32_t* tokens, const Matrix& out) {
  check(kernels::embed(tokens, weights_.embedding, std::sqrt(static_cast<float>(dims.prefix.width)), out, stream_),
        "kernel embed");
}

void CudaOps::linear(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) {
  if (x.dtype != weight.dtype)
    check(kernels::gemv(x, weight, bias ? static_cast<const float*>(bias->data) : nullptr, out, stream_),
          "kernel gemv");
  else
    gemm_.run(x, weight, {bias ? bias->data : nullptr, false, false}, out, stream_);
}

void CudaOps::linear_gelu(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& out) {
  gemm_.run(x, weight, {bias ? bias->data : nullptr, true, false}, out, stream_);
}

void CudaOps::gated_linear(const Matrix& x, const Tensor& gate, const Tensor& up, const Matrix& out) {
  const Tensor gate_up{gate.data, gate.dtype, 2 * gate.rows, gate.cols};
  const bool interleaved = up.data == gate.data;
  if (interleaved && kernels::geglu_gemm_supported(x, gate_up, out)) {
    check(kernels::geglu_gemm(x, gate_up, out, stream_), "kernel geglu_gemm");
    return;
  }
  const auto* after_gate = static_cast<const char*>(gate.data) + gate.rows * gate.cols * bytes_of(gate.dtype);
  if (up.data == after_gate && kernels::skinny_gemm_supported(x, gate_up)) {
    check(kernels::skinny_gemm_geglu(x, gate_up, out, stream_), "kernel skinny_gemm_geglu");
    return;
  }
  const Matrix products = scratch(out.rows, 2 * gate.rows, out.dtype);
  if (interleaved || up.data == after_gate) {
    gemm_.run(x, gate_up, {}, products, stream_);
  } else {
    gemm_.run(x, gate, {}, products.cols_from(0, gate.rows), stream_);
    gemm_.run(x, up, {}, products.cols_from(gate.rows, gate.rows), stream_);
  }
  check(kernels::geglu(products, interleaved ? kernels::kInterleave : gate.rows, out, stream_), "kernel geglu");
}

void CudaOps::linear_add(const Matrix& x, const Tensor& weight, const Tensor* bias, const Matrix& stream) {
  gemm_.run(x, weight, {bias ? bias->data : nullptr, false, true}, stream, stream_);
}

// Measured on an H200: split-K is faster where tiles of 128 by 256 leave most multiprocessors idle. The norms read
// partial products whose rows are contiguous, and a split must start at a multiple of 16 bytes.
kernels::SplitKPartials CudaOps::linear_add_split_k(const Matrix& x, const Tensor& weight, const Matrix& stream) {
  const int64_t tiles = (x.rows + 127) / 128 * ((weight.rows + 255) / 256);
  const int64_t multiprocessors = kernels::gpu().multiprocessors;
  const int64_t splits = multiprocessors >= 5 * tiles ? kMaxSplits : 2 * multiprocessors >= 5 * tiles ? 2 : 1;
  if (splits == 1 || type_ != DType::BF16 || weight.cols % (8 * splits) != 0 || weight.rows % 8 != 0) {
    linear_add(x, weight, nullptr, stream);
    return {};
  }
  const Matrix partials = scratch(splits * x.rows, weight.rows, DType::F32);
  gemm_.run_split_k(x, weight, splits, partials, stream_);
  return kernels::split_k_partials(partials, splits);
}

CudaOps::PendingResidual CudaOps::gated_residual(const Matrix& x, const Tensor& weight, const Matrix& gate) {
  const bool skinny = kernels::skinny_gemm_supported(x, weight);
  const int64_t splits = skinny && x.cols % (64 * kMaxSplits) == 0 ? kMaxSplits : 1;
  Matrix partials = scratch(splits * x.rows, weight.rows, DType::F32);
  partials.stride = partials.cols;  // the norms read contiguous rows
  if (skinny)
    check(kernels::skinny_gemm_split_k(x, weight, splits, partials, stream_), "kernel skinny_gemm_split_k");
  else
    gemm_.run(x, weight, {}, partials, stream_);
  return {kernels::split_k_partials(partials, splits), static_cast<const float*>(gate.data)};
}

void CudaOps::layer_norm(const Matrix& x, const Affine& norm, const Matrix& out,
                         const kernels::SplitKPartials& partials) {
  check(kernels::layer_norm(x, norm, out, partials, stream_), "kernel layer_norm");
}

void CudaOps::rms_norm(const Matrix& x, const Tensor& weight, const Matrix& out,
                       const kernels::SplitKPartials& partials) {
  check(kernels::rms_norm(x, weight, out, partials, stream_), "kernel rms_norm");
}

void CudaOps::adaptive_rms_norm(const Matrix& x, const Matrix& modulation, const int32_t* time_row, const Matrix& out,
                                const PendingResidual& pending) {
  check(kernels::adaptive_rms_norm(x, modulation, time_row, out, pending.partials, pending.gate, stream_),
        "kernel adaptive_rms_norm");
}

void CudaOps::rope_split(const Matrix& qkv, int64_t heads, int64_t kv_heads, int64_t first, const Matrix& k,
                         const Matrix& v) {
  check(kernels::rope_split(qkv, heads, kv_heads, first, cos_sin_.as<float2>(), k, v, stream_), "kernel rope_split");
}

void CudaOps::attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                        const Matrix& out) {
  check(kernels::attention(q, k, v, shape, out, attention_workspace_.as<void>(), attention_workspace_.bytes(), stream_),
        "kernel attention");
}

void CudaOps::silu(const Matrix& x) { check(kernels::silu(x, stream_), "kernel silu"); }

void CudaOps::copy(const Matrix& from, const Matrix& to) { check(kernels::copy(from, to, stream_), "kernel copy"); }

void CudaOps::start(const Inputs& in, const Matrix& x) { check(kernels::start(in, x, stream_), "kernel start"); }

void CudaOps::euler_step(const Inputs& in, int64_t step, int64_t steps, const Matrix& velocity, const Matrix& x) {
  check(kernels::euler_step(in, step, steps, velocity, x, stream_), "kernel euler_step");
}

}  // namespace pi05
