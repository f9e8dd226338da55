#include "fingerprint.h"

#include <memory>
#include <string>

#include "arguments.h"
#include "job.h"
#include "pi05/fingerprint.h"

namespace pi05::addon {
namespace {

Napi::Value ToObject(Napi::Env env, const pi05_fingerprint& fingerprint) {
  Napi::Object object = Napi::Object::New(env);
  object["hash"] = Napi::BigInt::New(env, fingerprint.hash);
  object["uniform"] = Napi::Boolean::New(env, fingerprint.uniform != 0);
  return object;
}

// Deletes itself when the promise is settled.
class FingerprintWorker : public Napi::AsyncWorker {
 public:
  FingerprintWorker(Napi::Env env, const pi05_image& image, Napi::Array borrowed)
      : AsyncWorker(env, "pi05.fingerprint"),
        deferred_(Napi::Promise::Deferred::New(env)),
        image_(image),
        borrowed_(Napi::Persistent(borrowed.As<Napi::Object>())) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    status_ = pi05_get_fingerprint(&image_, &fingerprint_);
    if (status_ != PI05_OK) message_ = pi05_last_error();
  }

  void OnOK() override {
    if (status_ == PI05_OK)
      deferred_.Resolve(ToObject(Env(), fingerprint_));
    else
      deferred_.Reject(ErrorWithCode(Env(), status_, message_).Value());
  }

  // What Execute() throws: std::bad_alloc.
  void OnError(const Napi::Error& error) override {
    deferred_.Reject(ErrorWithCode(Env(), PI05_OUT_OF_MEMORY, error.Message()).Value());
  }

 private:
  Napi::Promise::Deferred deferred_;
  pi05_image image_;
  Napi::ObjectReference borrowed_;
  pi05_fingerprint fingerprint_ = {};
  pi05_status status_ = PI05_OK;
  std::string message_;
};

}  // namespace

Napi::Value Fingerprint(const Napi::CallbackInfo& call) {
  Napi::Array borrowed = Napi::Array::New(call.Env());
  const pi05_image image = ToImage(call[0], borrowed);
  auto worker = std::make_unique<FingerprintWorker>(call.Env(), image, borrowed);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  (void)worker.release();
  return promise;
}

Napi::Value FingerprintSync(const Napi::CallbackInfo& call) {
  const pi05_image image = ToImage(call[0], Napi::Array::New(call.Env()));
  pi05_fingerprint fingerprint = {};
  const pi05_status status = pi05_get_fingerprint(&image, &fingerprint);
  if (status != PI05_OK) throw ErrorWithCode(call.Env(), status, pi05_last_error());
  return ToObject(call.Env(), fingerprint);
}

}  // namespace pi05::addon
