#include "job.h"

#include <exception>
#include <new>

namespace pi05::addon {

void Job::Run(pi05_session** session) noexcept {
  try {
    status_ = Work(session);
    if (status_ != PI05_OK) message_ = pi05_last_error();
  } catch (const std::bad_alloc&) {
    status_ = PI05_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    status_ = PI05_ENGINE_FAILED;
    message_ = error.what();
  }
}

void Job::Complete(Napi::Env env) {
  if (status_ == PI05_OK) {
    deferred_.Resolve(Result(env));
  } else {
    if (message_.empty()) message_ = "Allocation of host memory failed: out of memory";
    deferred_.Reject(ErrorWithCode(env, status_, message_).Value());
  }
}

Napi::Error ErrorWithCode(Napi::Env env, pi05_status status, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, pi05_status_name(status)));
  return error;
}

}  // namespace pi05::addon
