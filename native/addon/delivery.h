// Brings finished jobs back to the JS thread; one per environment (main thread or worker_thread), which owns it.
//
// The event loop stays alive while a job is expected, and only then. When the environment goes down, its cleanup hook
// waits for the jobs at hand, since they borrow JS memory, and drops every other one unsettled.
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

class Delivery {
 public:
  // Makes the environment's own delivery.
  static void Install(Napi::Env env);
  static Delivery& Of(Napi::Env env) { return *env.GetInstanceData<Delivery>(); }

  explicit Delivery(Napi::Env env);

  // On the JS thread.
  void Add(Worker* worker) { workers_.insert(worker); }
  void Remove(Worker* worker) { workers_.erase(worker); }
  void Expect();

  // On any thread.
  void Done(std::unique_ptr<Job> job);

 private:
  static void Wake(Napi::Env env, Napi::Function, Delivery* delivery, void*);
  using Waker = Napi::TypedThreadSafeFunction<Delivery, void, &Delivery::Wake>;

  void SettleDone(Napi::Env env);
  void Shutdown();

  Napi::Env env_;
  Waker waker_;
  std::set<Worker*> workers_;
  std::size_t expected_ = 0;  // jobs posted and not yet settled
  std::mutex mutex_;
  std::vector<std::unique_ptr<Job>> done_;
};

}  // namespace pi05::addon
