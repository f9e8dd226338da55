// A native thread with one engine session of its own: jobs run on it one after another, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "job.h"

namespace pi05::addon {

class Delivery;

// Made, used and destroyed on the JS thread.
class Worker {
 public:
  explicit Worker(Delivery& delivery);
  ~Worker() { Stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The job's promise settles on the JS thread once the job has run.
  void Post(std::unique_ptr<Job> job);

  // Waits for the job at hand, drops those behind it and frees the session. Nothing can be posted afterwards.
  void Stop();

 private:
  void Loop();

  Delivery& delivery_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

// The calling thread yields to everything else from here on: SCHED_IDLE, or nice 10 where that is refused.
void LowerPriority();

}  // namespace pi05::addon
