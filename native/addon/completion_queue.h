// Returns finished jobs to the JS thread. One per environment (main thread or worker_thread), which owns it.
//
// The event loop stays alive while jobs are pending. When the environment is torn down, the cleanup hook waits for the
// running jobs, because they borrow JS memory, and drops all others without settling their promises.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "job.h"
#include "worker.h"

namespace pi05::addon {

class CompletionQueue {
 public:
  // Creates the queue of an environment.
  static void Install(Napi::Env env);
  static CompletionQueue& Of(Napi::Env env) { return *env.GetInstanceData<CompletionQueue>(); }

  explicit CompletionQueue(Napi::Env env);

  // On the JS thread.
  void AddWorker(Worker* worker) { workers_.insert(worker); }
  void RemoveWorker(Worker* worker) { workers_.erase(worker); }
  void AddPending();

  // On any thread.
  void Push(std::unique_ptr<Job> job);

 private:
  static void OnJsThread(Napi::Env env, Napi::Function, CompletionQueue* queue, void*);
  using ThreadSafeFunction = Napi::TypedThreadSafeFunction<CompletionQueue, void, &CompletionQueue::OnJsThread>;

  void CompleteJobs(Napi::Env env);
  void Shutdown();

  Napi::Env env_;
  ThreadSafeFunction tsfn_;
  std::set<Worker*> workers_;
  std::size_t pending_ = 0;  // jobs posted and not completed
  std::mutex mutex_;
  std::vector<std::unique_ptr<Job>> finished_;
};

}  // namespace pi05::addon
