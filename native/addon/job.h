// One asynchronous operation in three steps: converted to plain values on the JS thread when it is made, worked on
// by a native thread that never touches JS, settled on the JS thread.
#pragma once

#include <napi.h>

#include <string>

#include "pi05/pi05.h"

namespace pi05::addon {

class Job {
 public:
  explicit Job(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}
  virtual ~Job() = default;  // on the JS thread: references to JS values go with it
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  Napi::Promise promise() const { return deferred_.Promise(); }

  // On the worker's thread. `session` is the worker's own; opening and closing set it.
  void Run(pi05_session** session) noexcept;

  // On the JS thread, after Run: resolves with Result() or rejects with an Error whose `code` is the status' name.
  void Settle(Napi::Env env);

 protected:
  virtual pi05_status Work(pi05_session** session) = 0;
  virtual Napi::Value Result(Napi::Env env) = 0;

 private:
  Napi::Promise::Deferred deferred_;
  pi05_status status_ = PI05_OK;
  std::string sentence_;
};

// An Error with a `code`, as every refusal of the addon has.
Napi::Error ErrorWithCode(Napi::Env env, pi05_status status, const std::string& sentence);

}  // namespace pi05::addon
