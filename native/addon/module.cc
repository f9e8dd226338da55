// The functions that the addon exports, declared for TypeScript in src/engine/addon.ts.
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "camera_image.h"
#include "completion_queue.h"
#include "fingerprint.h"
#include "image_file.h"
#include "jobs.h"

namespace pi05::addon {
namespace {

std::shared_ptr<Session> ToSession(Napi::Value value) {
  if (!value.IsExternal())
    throw ErrorWithCode(value.Env(), PI05_INVALID_ARGUMENT, "Expected a session, received another value");
  return *value.As<SessionHandle>().Data();
}

// open({checkpoint, backend, precision, threads, lowPriority})
Napi::Value Open(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const Napi::Object object = ToObject(call[0], "options");
  pi05_options options = {};
  options.backend = ToBackend(object.Get("backend"));
  options.precision = ToPrecision(object.Get("precision"));
  options.threads = ToInt32(object.Get("threads"), "threads");
  options.low_priority = object.Get("lowPriority").ToBoolean() ? 1 : 0;
  std::string checkpoint = ToString(object.Get("checkpoint"), "checkpoint");
  auto session = std::make_shared<Session>(CompletionQueue::Of(env));
  auto job = std::make_unique<OpenJob>(env, session, std::move(checkpoint), options);
  const Napi::Promise promise = job->promise();
  session->worker.Post(std::move(job));
  return promise;
}

// infer(session, request, actions) and prepare(session, request)
template <typename RequestKind>
Napi::Value StartRequest(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  std::shared_ptr<Session> session = ToSession(call[0]);
  if (session->closed)
    throw ErrorWithCode(env, PI05_INVALID_ARGUMENT, "Expected an open engine, received a closed one");
  if (session->busy) {
    throw ErrorWithCode(env, PI05_INVALID_ARGUMENT,
                        "Expected one inference at a time, received another while one runs");
  }
  auto arguments = std::make_unique<InferArguments>(ToObject(call[1], "request"), call[2], session->info);
  auto job = std::make_unique<RequestKind>(env, session, std::move(arguments));
  const Napi::Promise promise = job->promise();
  session->worker.Post(std::move(job));
  return promise;
}

// close(session); a second call fails
Napi::Value Close(const Napi::CallbackInfo& call) {
  std::shared_ptr<Session> session = ToSession(call[0]);
  if (session->closed)
    throw ErrorWithCode(call.Env(), PI05_INVALID_ARGUMENT, "Expected an open engine, received a closed one");
  auto job = std::make_unique<CloseJob>(call.Env(), session);
  const Napi::Promise promise = job->promise();
  session->worker.Post(std::move(job));
  return promise;
}

// inspect(directory)
Napi::Value Inspect(const Napi::CallbackInfo& call) {
  auto worker = std::make_shared<Worker>(CompletionQueue::Of(call.Env()));
  auto job = std::make_unique<InspectJob>(call.Env(), worker, ToString(call[0], "directory"));
  const Napi::Promise promise = job->promise();
  worker->Post(std::move(job));
  return promise;
}

// limits()
Napi::Value Limits(const Napi::CallbackInfo& call) {
  const pi05_limits limits = pi05_get_limits();
  Napi::Object object = Napi::Object::New(call.Env());
  object["maxFlowSteps"] = limits.max_flow_steps;
  object["maxImageSide"] = limits.max_image_side;
  object["maxThreads"] = limits.max_threads;
  return object;
}

// makeCheckpoint(directory, size, seed: bigint)
Napi::Value MakeCheckpoint(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  bool lossless = false;
  const uint64_t seed = call[2].IsBigInt() ? call[2].As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless)
    throw ErrorWithCode(env, PI05_INVALID_ARGUMENT, "Expected a seed of 0 to 2^64 - 1, received another value");
  auto worker = std::make_shared<Worker>(CompletionQueue::Of(env));
  auto job = std::make_unique<MakeCheckpointJob>(env, worker, ToString(call[0], "directory"), ToSize(call[1]), seed);
  const Napi::Promise promise = job->promise();
  worker->Post(std::move(job));
  return promise;
}

void ThrowIfFailed(Napi::Env env, pi05_status status) {
  if (status != PI05_OK) throw ErrorWithCode(env, status, pi05_last_error());
}

// (size, size, 3)
std::size_t ResizedElements(int32_t size) {
  return size > 0 ? static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3 : 0;
}

// resizePillow(image, size, out: Uint8Array)
void ResizePillow(const Napi::CallbackInfo& call) {
  const pi05_image image = ToImage(call[0], Napi::Array::New(call.Env()));
  const int32_t size = ToInt32(call[1], "size");
  ThrowIfFailed(call.Env(), pi05_resize_pillow(&image, size, ToBytes(call[2], ResizedElements(size), "out")));
}

// resizeLerobot(image, size, out: Float32Array)
void ResizeLerobot(const Napi::CallbackInfo& call) {
  const pi05_image image = ToImage(call[0], Napi::Array::New(call.Env()));
  const int32_t size = ToInt32(call[1], "size");
  ThrowIfFailed(call.Env(), pi05_resize_lerobot(&image, size, ToFloats(call[2], ResizedElements(size), "out")));
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  CompletionQueue::Install(env);
  exports["limits"] = Napi::Function::New<Limits>(env, "limits");
  exports["open"] = Napi::Function::New<Open>(env, "open");
  exports["prepare"] = Napi::Function::New<StartRequest<PrepareJob>>(env, "prepare");
  exports["infer"] = Napi::Function::New<StartRequest<InferJob>>(env, "infer");
  exports["close"] = Napi::Function::New<Close>(env, "close");
  exports["inspect"] = Napi::Function::New<Inspect>(env, "inspect");
  exports["makeCheckpoint"] = Napi::Function::New<MakeCheckpoint>(env, "makeCheckpoint");
  exports["fingerprint"] = Napi::Function::New<Fingerprint>(env, "fingerprint");
  exports["fingerprintSync"] = Napi::Function::New<FingerprintSync>(env, "fingerprintSync");
  exports["convertToRgb8"] = Napi::Function::New<ConvertToRgb8>(env, "convertToRgb8");
  exports["convertToRgb8Sync"] = Napi::Function::New<ConvertToRgb8Sync>(env, "convertToRgb8Sync");
  exports["checkImageFile"] = Napi::Function::New<CheckImageFile>(env, "checkImageFile");
  exports["resizePillow"] = Napi::Function::New<ResizePillow>(env, "resizePillow");
  exports["resizeLerobot"] = Napi::Function::New<ResizeLerobot>(env, "resizeLerobot");
  return exports;
}

NODE_API_MODULE(pi05, Init)

}  // namespace pi05::addon
