#include "jobs.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pi05::addon {
namespace {

Napi::Object InfoObject(Napi::Env env, const pi05_info& info) {
  Napi::Object object = Napi::Object::New(env);
  object["family"] = info.family == PI05_FAMILY_LEROBOT ? "lerobot" : "openpi";
  object["familyReason"] = info.family_reason;
  object["resize"] = info.resize == PI05_RESIZE_PILLOW    ? "pillow"
                     : info.resize == PI05_RESIZE_LEROBOT ? "lerobot"
                                                          : "lerobot_before_0.5";
  object["backend"] = info.backend == PI05_BACKEND_CUDA ? "cuda" : "cpu";
  object["backendReason"] = info.backend_reason;
  object["stateInPrompt"] = info.state_in_prompt != 0;
  object["paddedState"] = info.padded_state;
  object["slots"] = info.slots;
  object["imageSize"] = info.image_size;
  object["actionDim"] = info.action_dim;
  object["horizon"] = info.horizon;
  object["flowSteps"] = info.flow_steps;
  object["maxTokens"] = info.max_tokens;
  object["vocab"] = info.vocab;
  object["rtcTrainedMaxDelay"] = info.rtc_trained_max_delay;
  object["parameters"] = static_cast<double>(info.parameters);
  object["weightBytes"] = static_cast<double>(info.weight_bytes);
  return object;
}

}  // namespace

OpenJob::OpenJob(Napi::Env env, std::shared_ptr<Session> session, std::string checkpoint, const pi05_options& options)
    : Job(env), session_(std::move(session)), checkpoint_(std::move(checkpoint)), options_(options) {}

pi05_status OpenJob::Work(pi05_session** session) {
  options_.checkpoint = checkpoint_.c_str();
  pi05_status status = pi05_open(&options_, session);
  if (status == PI05_OK) status = pi05_get_info(*session, &info_);
  if (status == PI05_OK && options_.low_priority != 0 && info_.backend == PI05_BACKEND_CPU)
    pi05_lower_thread_priority();
  return status;
}

Napi::Value OpenJob::Result(Napi::Env env) {
  session_->info = info_;
  Napi::Object result = Napi::Object::New(env);
  result["info"] = InfoObject(env, info_);
  result["session"] = SessionHandle::New(env, new std::shared_ptr<Session>(session_),
                                         [](Napi::Env, std::shared_ptr<Session>* handle) { delete handle; });
  return result;
}

RequestJob::RequestJob(Napi::Env env, std::shared_ptr<Session> session, std::unique_ptr<InferArguments> arguments)
    : Job(env), session_(std::move(session)), arguments_(std::move(arguments)) {
  session_->busy = true;
}

RequestJob::~RequestJob() { session_->busy = false; }

pi05_status InferJob::Work(pi05_session** session) {
  if (arguments_->trace) {
    arguments_->request.trace = &InferJob::AddTensor;
    arguments_->request.trace_user = this;
  }
  const auto start = std::chrono::steady_clock::now();
  const pi05_status status = pi05_infer(*session, &arguments_->request, arguments_->actions);
  milliseconds_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (callback_error_) std::rethrow_exception(callback_error_);
  return status;
}

// Called through the C ABI, which no exception may cross: Work() throws it after the call.
void InferJob::AddTensor(void* user, const char* name, const float* data, const int64_t* shape, int32_t rank) noexcept {
  auto* job = static_cast<InferJob*>(user);
  try {
    int64_t count = 1;
    for (int32_t axis = 0; axis < rank; ++axis) count *= shape[axis];
    job->trace_.push_back({name, {shape, shape + rank}, {data, data + count}});
  } catch (...) {
    job->callback_error_ = std::current_exception();
  }
}

Napi::Value InferJob::Result(Napi::Env env) {
  Napi::Array trace = Napi::Array::New(env, trace_.size());
  for (uint32_t i = 0; i < trace_.size(); ++i) {
    const Tensor& tensor = trace_[i];
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (uint32_t axis = 0; axis < tensor.shape.size(); ++axis) shape[axis] = static_cast<double>(tensor.shape[axis]);
    Napi::Float32Array data = Napi::Float32Array::New(env, tensor.data.size());
    std::copy(tensor.data.begin(), tensor.data.end(), data.Data());
    Napi::Object object = Napi::Object::New(env);
    object["name"] = tensor.name;
    object["shape"] = shape;
    object["data"] = data;
    trace[i] = object;
  }
  Napi::Object result = Napi::Object::New(env);
  result["milliseconds"] = milliseconds_;
  result["trace"] = trace;
  return result;
}

pi05_status PrepareJob::Work(pi05_session** session) { return pi05_prepare(*session, &arguments_->request); }

Napi::Value PrepareJob::Result(Napi::Env env) { return env.Undefined(); }

CloseJob::CloseJob(Napi::Env env, std::shared_ptr<Session> session) : Job(env), session_(std::move(session)) {
  session_->closed = true;
}

pi05_status CloseJob::Work(pi05_session** session) {
  pi05_close(std::exchange(*session, nullptr));
  return PI05_OK;
}

Napi::Value CloseJob::Result(Napi::Env env) {
  // Otherwise the thread would wait until JS collects the session's handle.
  session_->worker.Stop();
  return env.Undefined();
}

InspectJob::InspectJob(Napi::Env env, std::shared_ptr<Worker> worker, std::string directory)
    : Job(env), worker_(std::move(worker)), directory_(std::move(directory)) {}

pi05_status InspectJob::Work(pi05_session**) {
  const pi05_status status = pi05_inspect(directory_.c_str(), &description_, &InspectJob::AddProblem, this);
  if (callback_error_) std::rethrow_exception(callback_error_);
  return status;
}

// Called through the C ABI, as InferJob::AddTensor is.
void InspectJob::AddProblem(void* user, pi05_status status, const char* text) noexcept {
  auto* job = static_cast<InspectJob*>(user);
  try {
    job->problems_.push_back({pi05_status_name(status), text});
  } catch (...) {
    job->callback_error_ = std::current_exception();
  }
}

Napi::Value InspectJob::Result(Napi::Env env) {
  const auto stored = [&](const pi05_stored& total) {
    Napi::Object object = Napi::Object::New(env);
    object["tensors"] = static_cast<double>(total.tensors);
    object["bytes"] = static_cast<double>(total.bytes);
    return object;
  };
  const auto transformer = [&](int32_t width, int32_t layers) {
    Napi::Object object = Napi::Object::New(env);
    object["width"] = width;
    object["layers"] = layers;
    return object;
  };
  const pi05_description& d = description_;
  Napi::Object result = Napi::Object::New(env);
  result["info"] = InfoObject(env, d.info);
  result["patch"] = d.patch;
  result["vision"] = transformer(d.vision_width, d.vision_layers);
  result["prefix"] = transformer(d.prefix_width, d.prefix_layers);
  result["expert"] = transformer(d.expert_width, d.expert_layers);
  Napi::Object dtypes = Napi::Object::New(env);
  dtypes["F32"] = stored(d.f32);
  dtypes["BF16"] = stored(d.bf16);
  dtypes["F16"] = stored(d.f16);
  dtypes["other"] = stored(d.other);
  result["dtypes"] = dtypes;
  result["usedParameters"] = static_cast<double>(d.used_parameters);
  result["readBytes"] = static_cast<double>(d.read_bytes);
  Napi::Array problems = Napi::Array::New(env, problems_.size());
  for (uint32_t i = 0; i < problems_.size(); ++i) {
    Napi::Object problem = Napi::Object::New(env);
    problem["code"] = problems_[i].code;
    problem["message"] = problems_[i].message;
    problems[i] = problem;
  }
  result["problems"] = problems;
  return result;
}

MakeCheckpointJob::MakeCheckpointJob(Napi::Env env, std::shared_ptr<Worker> worker, std::string directory,
                                     pi05_size size, uint64_t seed)
    : Job(env), worker_(std::move(worker)), directory_(std::move(directory)), size_(size), seed_(seed) {}

pi05_status MakeCheckpointJob::Work(pi05_session**) { return pi05_make_checkpoint(directory_.c_str(), size_, seed_); }

Napi::Value MakeCheckpointJob::Result(Napi::Env env) { return env.Undefined(); }

}  // namespace pi05::addon
