// The C ABI: checks what comes in, keeps what was loaded, lets no exception out.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/resize.h"
#include "backend/resample.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/make_checkpoint.h"
#include "error.h"
#include "model/model.h"
#include "pi05/pi05.h"

struct pi05_session {
  pi05::Checkpoint checkpoint;  // outlives what reads its weights
  std::unique_ptr<pi05::Ops> ops;
  std::unique_ptr<pi05::Model> model;
  pi05_backend backend = PI05_BACKEND_CPU;
  std::atomic<bool> inferring{false};
};

namespace pi05 {
namespace {

constexpr int64_t kMaxImageSide = 1 << 16;
constexpr int kMaxThreads = 1024;

thread_local std::string last_error;

// Runs `work` and turns what it throws into a status and the thread's last error.
template <typename Work>
pi05_status guarded(Work work) {
  try {
    try {
      last_error.clear();
      work();
      return PI05_OK;
    } catch (const Error& error) {
      last_error = error.what();
      return error.status();
    } catch (const std::bad_alloc&) {
      last_error = "Expected enough memory for the model, received none from the system";
      return PI05_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
      last_error = std::string("Expected the engine to work, received: ") + error.what();
      return PI05_ENGINE_FAILED;
    }
  } catch (...) {
    return PI05_ENGINE_FAILED;
  }
}

void require(bool holds, const std::string& sentence) {
  if (!holds) throw Error(PI05_INVALID_ARGUMENT, sentence);
}

std::string number(int64_t value) { return std::to_string(value); }

std::string range(const char* what, int64_t least, int64_t most, int64_t received) {
  return "Expected " + std::string(what) + " from " + number(least) + " to " + number(most) + ", received " +
         number(received);
}

void check_image(const pi05_image& image, int64_t size, const std::string& name) {
  require(image.data, "Expected image data for " + name + ", received a null pointer");
  require(image.pixels >= PI05_PIXELS_RGB8 && image.pixels <= PI05_PIXELS_MONO8,
          "Expected a known pixel format for " + name + ", received " + number(image.pixels));
  require(image.width >= 1 && image.height >= 1 && image.width <= kMaxImageSide && image.height <= kMaxImageSide,
          "Expected 1 to " + number(kMaxImageSide) + " pixels a side for " + name + ", received " + number(image.width) +
              " x " + number(image.height));
  const int64_t row = image.width * layout_of(image.pixels).bytes;
  require(image.step >= row, "Expected rows of at least " + number(row) + " bytes for " + name + ", received a step of " +
                                 number(image.step));
  const Fit fit = fit_with_padding(image.width, image.height, size);
  require(fit.width > 0 && fit.height > 0, "Expected an image that keeps a pixel when resized to " + number(size) +
                                               " for " + name + ", received " + number(image.width) + " x " +
                                               number(image.height));
}

void check_rtc(const pi05_rtc& rtc, const Checkpoint& checkpoint) {
  const int64_t horizon = checkpoint.dims.horizon;
  require(rtc.mode >= PI05_RTC_NONE && rtc.mode <= PI05_RTC_TRAINED,
          "Expected a known chunking mode, received " + number(rtc.mode));
  if (rtc.mode == PI05_RTC_NONE) return;
  require(rtc.previous, "Expected a previous chunk, received a null pointer");
  require(rtc.previous_rows >= 1 && rtc.previous_rows <= horizon,
          range("previous rows", 1, horizon, rtc.previous_rows));
  require(rtc.delay >= 0 && rtc.delay <= rtc.previous_rows, range("a delay", 0, rtc.previous_rows, rtc.delay));
  if (rtc.mode == PI05_RTC_TRAINED) {
    const int64_t trained = checkpoint.rtc_trained_max_delay;
    require(trained == 0 || rtc.delay <= trained,
            "Expected a delay of at most " + number(trained) + " (what the checkpoint was trained for), received " +
                number(rtc.delay));
    return;
  }
  require(rtc.schedule >= PI05_RTC_LINEAR && rtc.schedule <= PI05_RTC_ZEROS,
          "Expected a known guidance schedule, received " + number(rtc.schedule));
  require(rtc.execution_horizon >= 1, "Expected an execution horizon of at least 1, received " + number(rtc.execution_horizon));
  require(rtc.max_weight > 0 && rtc.max_weight <= 1e6f,
          "Expected a largest guidance weight above 0, received " + std::to_string(rtc.max_weight));
}

void check_finite(const float* values, int64_t count, const char* what) {
  const float* bad = std::find_if(values, values + count, [](float value) { return !(value - value == 0); });
  require(bad == values + count,
          "Expected finite values for " + std::string(what) + ", received " + std::to_string(bad == values + count ? 0.0f : *bad) +
              " at index " + number(bad - values));
}

Request checked(const pi05_request& request, const Checkpoint& checkpoint) {
  const Dimensions& d = checkpoint.dims;
  Request result;
  require(request.images, "Expected images, received a null pointer");
  for (int64_t slot = 0; slot < d.slots; slot++) {
    const pi05_image& image = request.images[slot];
    if (!image.data) continue;
    check_image(image, d.vision.image_size, "slot " + number(slot));
    result.images.push_back(image);
    result.slots.push_back(slot);
  }
  require(!result.images.empty(), "Expected an image in at least one of " + number(d.slots) + " slots, received none");

  require(request.token_count >= 1 && request.token_count <= d.max_tokens,
          "Expected 1 to " + number(d.max_tokens) + " prompt tokens, received " + number(request.token_count));
  require(request.tokens, "Expected prompt tokens, received a null pointer");
  for (int64_t i = 0; i < request.token_count; i++)
    require(request.tokens[i] >= 0 && request.tokens[i] < d.prefix.vocab,
            "Expected token ids from 0 to " + number(d.prefix.vocab - 1) + ", received " + number(request.tokens[i]) +
                " at index " + number(i));
  result.tokens = request.tokens;
  result.token_count = request.token_count;

  require(request.noise, "Expected noise, received a null pointer");
  check_finite(request.noise, d.horizon * d.action_dim, "noise");
  result.noise = request.noise;
  require(request.steps >= 0 && request.steps <= kMaxSteps,
          "Expected 1 to " + number(kMaxSteps) + " flow steps (0 = the checkpoint's own), received " +
              number(request.steps));
  result.steps = request.steps == 0 ? d.steps : request.steps;
  check_rtc(request.rtc, checkpoint);
  if (request.rtc.mode != PI05_RTC_NONE)
    check_finite(request.rtc.previous, request.rtc.previous_rows * d.action_dim, "the previous chunk");
  result.rtc = request.rtc;
  return result;
}

}  // namespace
}  // namespace pi05

using pi05::guarded;
using pi05::require;

extern "C" {

const char* pi05_status_name(pi05_status status) {
  switch (status) {
    case PI05_OK: return "OK";
    case PI05_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case PI05_CHECKPOINT_MISSING: return "CHECKPOINT_MISSING";
    case PI05_CHECKPOINT_TENSORS: return "CHECKPOINT_TENSORS";
    case PI05_BACKEND_UNAVAILABLE: return "BACKEND_UNAVAILABLE";
    case PI05_OUT_OF_MEMORY: return "OUT_OF_MEMORY";
    case PI05_ENGINE_FAILED: return "ENGINE_FAILED";
  }
  return "UNKNOWN";
}

const char* pi05_last_error(void) { return pi05::last_error.c_str(); }

pi05_status pi05_open(const pi05_options* options, pi05_session** out) {
  return guarded([&] {
    require(options && options->checkpoint && out, "Expected options with a checkpoint and a place for the session");
    *out = nullptr;
    require(options->threads >= 0 && options->threads <= pi05::kMaxThreads,
            pi05::range("threads", 0, pi05::kMaxThreads, options->threads));
    if (options->backend == PI05_BACKEND_CUDA)
      throw pi05::Error(PI05_BACKEND_UNAVAILABLE, "Expected the cuda backend, received a build without it (use auto or cpu)");
    require(options->backend == PI05_BACKEND_AUTO || options->backend == PI05_BACKEND_CPU,
            "Expected backend auto, cpu or cuda, received " + pi05::number(options->backend));
    auto session = std::make_unique<pi05_session>();
    session->checkpoint = pi05::open_checkpoint(options->checkpoint);
    const pi05::Checkpoint& checkpoint = session->checkpoint;
    session->ops = std::make_unique<pi05::CpuOps>(checkpoint.dims, options->threads, options->low_priority != 0);
    session->model = std::make_unique<pi05::Model>(*session->ops, checkpoint.weights, checkpoint.family, checkpoint.resize);
    *out = session.release();
  });
}

void pi05_close(pi05_session* session) { delete session; }

pi05_status pi05_get_info(const pi05_session* session, pi05_info* out) {
  return guarded([&] {
    require(session && out, "Expected a session and a place for its info");
    const pi05::Checkpoint& c = session->checkpoint;
    const pi05::Dimensions& d = c.dims;
    *out = {};
    out->family = c.family;
    out->family_reason = c.family_reason.c_str();
    out->resize = c.resize;
    out->backend = session->backend;
    out->state_in_prompt = c.state_in_prompt;
    out->slots = static_cast<int32_t>(d.slots);
    out->action_dim = static_cast<int32_t>(d.action_dim);
    out->horizon = static_cast<int32_t>(d.horizon);
    out->flow_steps = static_cast<int32_t>(d.steps);
    out->max_tokens = static_cast<int32_t>(d.max_tokens);
    out->vocab = static_cast<int32_t>(d.prefix.vocab);
    out->rtc_trained_max_delay = static_cast<int32_t>(c.rtc_trained_max_delay);
    out->parameters = c.parameters;
    out->weight_bytes = c.weight_bytes;
  });
}

pi05_status pi05_infer(pi05_session* session, const pi05_request* request, float* actions) {
  return guarded([&] {
    require(session && request && actions, "Expected a session, a request and a place for the actions");
    require(!session->inferring.exchange(true), "Expected one inference at a time, received another while one runs");
    const auto done = [](pi05_session* held) { held->inferring = false; };
    const std::unique_ptr<pi05_session, decltype(done)> inferring(session, done);
    const pi05::Request checked = pi05::checked(*request, session->checkpoint);
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
    require(image && out, "Expected an image and a place for the result");
    require(size >= 1 && size <= 4096, pi05::range("a size", 1, 4096, size));
    pi05::check_image(*image, size, "the image");
    pi05::ThreadPool pool(1, false);
    pi05::resize_pillow(pool, *image, size, out);
  });
}

pi05_status pi05_resize_lerobot(const pi05_image* image, int32_t size, float* out) {
  return guarded([&] {
    require(image && out, "Expected an image and a place for the result");
    require(size >= 1 && size <= 4096, pi05::range("a size", 1, 4096, size));
    pi05::check_image(*image, size, "the image");
    pi05::ThreadPool pool(1, false);
    pi05::resize_lerobot(pool, *image, size, out);
  });
}

pi05_status pi05_make_checkpoint(const char* directory, pi05_size size, uint64_t seed) {
  return guarded([&] {
    require(directory, "Expected a directory, received a null pointer");
    require(size >= PI05_SIZE_TINY && size <= PI05_SIZE_FULL, "Expected size tiny, demo or full, received " + pi05::number(size));
    pi05::make_checkpoint(directory, pi05::dimensions_of(size), seed);
  });
}

}  // extern "C"
