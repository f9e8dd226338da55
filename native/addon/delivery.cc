#include "delivery.h"

#include <utility>

namespace pi05::addon {

void Delivery::Install(Napi::Env env) { env.SetInstanceData(new Delivery(env)); }

Delivery::Delivery(Napi::Env env) : env_(env), waker_(Waker::New(env, "pi05", 0, 1, this)) {
  waker_.Unref(env);
  // Hooks run last in, first out: this one is behind the waker's own and so runs while the waker still lives.
  env.AddCleanupHook([](Delivery* delivery) { delivery->Shutdown(); }, this);
}

void Delivery::Expect() {
  if (expected_++ == 0) waker_.Ref(env_);
}

void Delivery::Done(std::unique_ptr<Job> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    done_.push_back(std::move(job));
  }
  waker_.NonBlockingCall();
}

void Delivery::Wake(Napi::Env env, Napi::Function, Delivery* delivery, void*) {
  const bool torn_down = static_cast<napi_env>(env) == nullptr;
  if (!torn_down) delivery->SettleDone(env);
}

void Delivery::SettleDone(Napi::Env env) {
  std::vector<std::unique_ptr<Job>> done;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    done.swap(done_);
  }
  for (std::unique_ptr<Job>& job : done) {
    if (--expected_ == 0) waker_.Unref(env);
    try {
      job->Settle(env);
    } catch (const Napi::Error&) {
      // JS refuses to run: the environment is going down, and nobody is left to be told.
    }
    job.reset();
  }
}

void Delivery::Shutdown() {
  while (!workers_.empty()) (*workers_.begin())->Stop();
  done_.clear();
  waker_.Release();
}

}  // namespace pi05::addon
