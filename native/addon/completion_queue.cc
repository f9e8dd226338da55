#include "completion_queue.h"

#include <utility>

namespace pi05::addon {

void CompletionQueue::Install(Napi::Env env) { env.SetInstanceData(new CompletionQueue(env)); }

CompletionQueue::CompletionQueue(Napi::Env env) : env_(env), tsfn_(ThreadSafeFunction::New(env, "pi05", 0, 1, this)) {
  tsfn_.Unref(env);
  // Cleanup hooks run in reverse order: this one runs before the thread-safe function's own.
  env.AddCleanupHook([](CompletionQueue* queue) { queue->Shutdown(); }, this);
}

void CompletionQueue::AddPending() {
  if (pending_++ == 0) tsfn_.Ref(env_);
}

void CompletionQueue::Push(std::unique_ptr<Job> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_.push_back(std::move(job));
  }
  tsfn_.NonBlockingCall();
}

void CompletionQueue::OnJsThread(Napi::Env env, Napi::Function, CompletionQueue* queue, void*) {
  const bool torn_down = static_cast<napi_env>(env) == nullptr;
  if (!torn_down) queue->CompleteJobs(env);
}

void CompletionQueue::CompleteJobs(Napi::Env env) {
  std::vector<std::unique_ptr<Job>> finished;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished.swap(finished_);
  }
  for (std::unique_ptr<Job>& job : finished) {
    if (--pending_ == 0) tsfn_.Unref(env);
    try {
      job->Complete(env);
    } catch (const Napi::Error&) {
      // JS cannot run any more because the environment is being torn down. Nobody waits for the promise.
    }
    job.reset();
  }
}

void CompletionQueue::Shutdown() {
  while (!workers_.empty()) (*workers_.begin())->Stop();
  finished_.clear();
  tsfn_.Release();
}

}  // namespace pi05::addon
