// One asynchronous operation in three steps: the arguments are converted to C values on the JS thread, the work runs on
// a native thread that never accesses JS, and the promise is settled on the JS thread.
#pragma once

#include <napi.h>

#include <string>

#include "pi05/pi05.h"

namespace pi05::addon {

class Job {
 public:
  explicit Job(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}
  virtual ~Job() = default;  // on the JS thread, because it releases references to JS values
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  Napi::Promise promise() const { return deferred_.Promise(); }

  // On the worker thread. `session` is the worker's session; opening and closing a session set it.
  void Run(pi05_session** session) noexcept;

  // On the JS thread, after Run(): resolves with Result(), or rejects with an Error whose `code` is the status name.
  void Complete(Napi::Env env);

 protected:
  virtual pi05_status Work(pi05_session** session) = 0;
  virtual Napi::Value Result(Napi::Env env) = 0;

 private:
  Napi::Promise::Deferred deferred_;
  pi05_status status_ = PI05_OK;
  std::string message_;
};

// The Error that every failure of the addon becomes: `code` is the status name.
Napi::Error ErrorWithCode(Napi::Env env, pi05_status status, const std::string& message);

}  // namespace pi05::addon
