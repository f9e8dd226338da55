// A native thread that owns at most one engine session and runs jobs on it in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "job.h"

namespace pi05::addon {

class CompletionQueue;

// Created, used and destroyed on the JS thread.
class Worker {
 public:
  explicit Worker(CompletionQueue& completions);
  ~Worker() { Stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Queues a job. Its promise is settled on the JS thread after the job has run.
  void Post(std::unique_ptr<Job> job);

  // Waits for the running job, drops the queued ones and closes the session. No job may be posted afterwards.
  void Stop();

 private:
  void Loop();

  CompletionQueue& completions_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace pi05::addon
