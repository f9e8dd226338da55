// One short operation on a thread of libuv's pool, as a promise.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "job.h"

namespace pi05::addon {

// Deletes itself when the promise is settled.
template <typename Result>
class PoolWorker : public Napi::AsyncWorker {
 public:
  using Work = std::function<pi05_status(Result&)>;                // on the thread of the pool
  using Convert = std::function<Napi::Value(Napi::Env, Result&)>;  // on the JS thread

  // `borrowed` keeps JS values alive until the promise is settled.
  static Napi::Promise Start(Napi::Env env, Napi::Object borrowed, Work work, Convert convert) {
    std::unique_ptr<PoolWorker> worker(new PoolWorker(env, borrowed, std::move(work), std::move(convert)));
    const Napi::Promise promise = worker->deferred_.Promise();
    worker->Queue();
    (void)worker.release();
    return promise;
  }

 protected:
  void Execute() override {
    status_ = work_(result_);
    if (status_ != PI05_OK) message_ = pi05_last_error();
  }

  void OnOK() override {
    if (status_ == PI05_OK)
      deferred_.Resolve(convert_(Env(), result_));
    else
      deferred_.Reject(ErrorWithCode(Env(), status_, message_).Value());
  }

  // What Execute() throws: std::bad_alloc.
  void OnError(const Napi::Error& error) override {
    deferred_.Reject(ErrorWithCode(Env(), PI05_OUT_OF_MEMORY, error.Message()).Value());
  }

 private:
  PoolWorker(Napi::Env env, Napi::Object borrowed, Work work, Convert convert)
      : AsyncWorker(env, "pi05.pool"),
        deferred_(Napi::Promise::Deferred::New(env)),
        borrowed_(Napi::Persistent(borrowed)),
        work_(std::move(work)),
        convert_(std::move(convert)) {}

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference borrowed_;
  Work work_;
  Convert convert_;
  Result result_ = {};
  pi05_status status_ = PI05_OK;
  std::string message_;
};

}  // namespace pi05::addon
