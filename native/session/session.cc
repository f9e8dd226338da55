// The C ABI of pi05.h.
#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/resize.h"
#include "backend/cpu/threads.h"
#ifdef PI05_CUDA
#include "backend/cuda/cuda_backend.h"
#endif
#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "pi05/pi05.h"
#include "session/guarded.h"
#include "session/request.h"

struct pi05_session {
  pi05::Checkpoint checkpoint;  // first, because ops and model read its weights
  std::unique_ptr<pi05::Ops> ops;
  std::unique_ptr<pi05::Model> model;
  pi05_backend backend = PI05_BACKEND_CPU;
  std::string backend_reason;
  std::atomic<bool> busy{false};
};

namespace pi05 {
namespace {

// Marks a session as busy for its lifetime; throws if it already is.
class BusyGuard {
 public:
  explicit BusyGuard(std::atomic<bool>& flag) : flag_(flag) {
    require(!flag_.exchange(true), "Expected one inference at a time, received another while one runs");
  }
  ~BusyGuard() { flag_ = false; }
  BusyGuard(const BusyGuard&) = delete;
  BusyGuard& operator=(const BusyGuard&) = delete;

 private:
  std::atomic<bool>& flag_;
};

// `reason`: out, why AUTO chose the CPU. Throws if CUDA is requested, or needed for the precision, and not available.
pi05_backend choose_backend(const pi05_options& options, const Dimensions& dims, std::string& reason) {
  const pi05_backend requested = options.backend;
  const bool fp8 = options.precision == PI05_PRECISION_FP8;
  require(requested != PI05_BACKEND_CPU || !fp8, "Expected backend cuda or auto for precision fp8, received cpu");
  if (requested == PI05_BACKEND_CPU) return requested;
#ifdef PI05_CUDA
  std::optional<Error> unavailable = cuda_unavailable_reason();
  if (!unavailable) unavailable = unsupported_model_reason(dims);
  if (!unavailable && fp8) unavailable = fp8_unavailable_reason();
  if (!unavailable && fp8) unavailable = unsupported_fp8_model_reason(dims);
#else
  (void)dims;
  const std::optional<Error> unavailable(
      {PI05_BACKEND_UNAVAILABLE, "Expected the cuda backend, received a build without it (use auto or cpu)"});
#endif
  if (requested == PI05_BACKEND_CUDA && unavailable) throw *unavailable;
  if (fp8 && unavailable)
    throw Error(unavailable->status(),
                std::string(unavailable->what()) + "; precision fp8 is not available on the CPU");
  if (unavailable) reason = unavailable->what();
  return unavailable ? PI05_BACKEND_CPU : PI05_BACKEND_CUDA;
}

std::unique_ptr<Ops> make_ops(const pi05_options& options, const Dimensions& dims, pi05_backend backend) {
#ifdef PI05_CUDA
  if (backend == PI05_BACKEND_CUDA) return make_cuda_ops(dims, cuda_precision(options.precision));
#endif
  (void)backend;
  return std::make_unique<CpuOps>(dims, options.threads, options.low_priority != 0);
}

pi05_info info_of(const Checkpoint& checkpoint) {
  const Dimensions& d = checkpoint.dims;
  pi05_info info = {};
  info.family = checkpoint.family;
  info.family_reason = checkpoint.family_reason;
  info.resize = checkpoint.resize;
  info.backend_reason = "";
  info.state_in_prompt = checkpoint.state_in_prompt;
  info.padded_state = static_cast<int32_t>(checkpoint.padded_state);
  info.slots = static_cast<int32_t>(d.slots);
  info.image_size = static_cast<int32_t>(d.vision.image_size);
  info.action_dim = static_cast<int32_t>(d.action_dim);
  info.horizon = static_cast<int32_t>(d.horizon);
  info.flow_steps = static_cast<int32_t>(d.steps);
  info.max_tokens = static_cast<int32_t>(d.max_tokens);
  info.vocab = static_cast<int32_t>(d.prefix.vocab);
  info.rtc_trained_max_delay = static_cast<int32_t>(checkpoint.rtc_trained_max_delay);
  info.parameters = checkpoint.parameters;
  info.weight_bytes = checkpoint.weight_bytes;
  return info;
}

pi05_description description_of(const Checkpoint& checkpoint) {
  const Dimensions& d = checkpoint.dims;
  pi05_description description = {};
  description.info = info_of(checkpoint);
  description.patch = static_cast<int32_t>(d.vision.patch);
  description.vision_width = static_cast<int32_t>(d.vision.hidden);
  description.vision_layers = static_cast<int32_t>(d.vision.layers);
  description.prefix_width = static_cast<int32_t>(d.prefix.width);
  description.prefix_layers = static_cast<int32_t>(d.prefix.layers);
  description.expert_width = static_cast<int32_t>(d.expert.width);
  description.expert_layers = static_cast<int32_t>(d.expert.layers);
  for (const Safetensors& file : checkpoint.files)
    for (const StoredTensor& tensor : file.tensors) {
      pi05_stored& stored = tensor.dtype == "F32"    ? description.f32
                            : tensor.dtype == "BF16" ? description.bf16
                            : tensor.dtype == "F16"  ? description.f16
                                                     : description.other;
      stored.tensors++;
      stored.bytes += tensor.bytes;
    }
  description.used_parameters = checkpoint.used_parameters;
  description.read_bytes = checkpoint.read_bytes;
  return description;
}

}  // namespace

std::string& last_error() {
  thread_local std::string message;
  return message;
}

}  // namespace pi05

using pi05::guarded;
using pi05::require;
using pi05::require_range;

extern "C" {

const char* pi05_status_name(pi05_status status) {
  switch (status) {
    case PI05_OK:
      return "OK";
    case PI05_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case PI05_CHECKPOINT_MISSING:
      return "CHECKPOINT_MISSING";
    case PI05_CHECKPOINT_TENSORS:
      return "CHECKPOINT_TENSORS";
    case PI05_BACKEND_UNAVAILABLE:
      return "BACKEND_UNAVAILABLE";
    case PI05_OUT_OF_MEMORY:
      return "OUT_OF_MEMORY";
    case PI05_ENGINE_FAILED:
      return "ENGINE_FAILED";
    case PI05_DRIVER_TOO_OLD:
      return "DRIVER_TOO_OLD";
    case PI05_DEVICE_LOST:
      return "DEVICE_LOST";
    case PI05_CHECKPOINT_AMBIGUOUS:
      return "CHECKPOINT_AMBIGUOUS";
  }
  return "UNKNOWN";
}

pi05_limits pi05_get_limits(void) { return {pi05::kMaxSteps, pi05::kMaxImageSide, pi05::kMaxThreads}; }

const char* pi05_last_error(void) { return pi05::last_error().c_str(); }

pi05_status pi05_open(const pi05_options* options, pi05_session** out) {
  return guarded([&] {
    require(options && options->checkpoint && out,
            "Expected options, options.checkpoint and out, received a null pointer");
    *out = nullptr;
    require_range("threads", 0, pi05::kMaxThreads, options->threads);
    require_range("backend", PI05_BACKEND_AUTO, PI05_BACKEND_CUDA, options->backend);
    require_range("precision", PI05_PRECISION_BF16, PI05_PRECISION_FP8, options->precision);
    auto session = std::make_unique<pi05_session>();
    session->checkpoint = pi05::open_checkpoint(options->checkpoint);
    const pi05::Checkpoint& checkpoint = session->checkpoint;
    session->backend = pi05::choose_backend(*options, checkpoint.dims, session->backend_reason);
    session->ops = pi05::make_ops(*options, checkpoint.dims, session->backend);
    session->model =
        std::make_unique<pi05::Model>(*session->ops, checkpoint.weights, checkpoint.family, checkpoint.resize);
    *out = session.release();
  });
}

void pi05_lower_thread_priority(void) { pi05::lower_thread_priority(); }

void pi05_close(pi05_session* session) { delete session; }

pi05_status pi05_get_info(const pi05_session* session, pi05_info* out) {
  return guarded([&] {
    require(session && out, "Expected session and out, received a null pointer");
    *out = pi05::info_of(session->checkpoint);
    out->backend = session->backend;
    out->backend_reason = session->backend_reason.c_str();
  });
}

pi05_status pi05_inspect(const char* directory, pi05_description* out, pi05_problem_fn problem, void* user) {
  return guarded([&] {
    require(directory && out && problem, "Expected directory, out and problem, received a null pointer");
    std::vector<pi05::Problem> problems;
    *out = pi05::description_of(pi05::inspect_checkpoint(directory, problems));
    for (const pi05::Problem& found : problems) problem(user, found.status, found.text.c_str());
  });
}

pi05_status pi05_prepare(pi05_session* session, const pi05_request* request) {
  return guarded([&] {
    require(session && request, "Expected session and request, received a null pointer");
    const pi05::BusyGuard busy(session->busy);
    session->model->prepare(pi05::checked_request(*request, session->checkpoint));
  });
}

pi05_status pi05_infer(pi05_session* session, const pi05_request* request, float* actions) {
  return guarded([&] {
    require(session && request && actions, "Expected session, request and actions, received a null pointer");
    const pi05::BusyGuard busy(session->busy);
    const pi05::Request checked = pi05::checked_request(*request, session->checkpoint);
    pi05::Trace trace;
    if (request->trace)
      trace = [request](const char* name, const float* data, const std::vector<int64_t>& shape) {
        request->trace(request->trace_user, name, data, shape.data(), static_cast<int32_t>(shape.size()));
      };
    session->model->infer(checked, actions, trace);
  });
}

pi05_status pi05_resize_pillow(const pi05_image* image, int32_t size, uint8_t* out) {
  return guarded([&] {
    require(image && out, "Expected image and out, received a null pointer");
    require_range("a size", 1, 4096, size);
    pi05::check_image(*image, size, "the image");
    pi05::ThreadPool pool(1, false);
    pi05::resize_pillow(pool, *image, size, out);
  });
}

pi05_status pi05_resize_lerobot(const pi05_image* image, int32_t size, float* out) {
  return guarded([&] {
    require(image && out, "Expected image and out, received a null pointer");
    require_range("a size", 1, 4096, size);
    pi05::check_image(*image, size, "the image");
    pi05::ThreadPool pool(1, false);
    pi05::resize_lerobot(pool, *image, size, 0.0f, out);
  });
}

}  // extern "C"
