#include "worker.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "delivery.h"

namespace pi05::addon {

Worker::Worker(Delivery& delivery) : delivery_(delivery) {
  thread_ = std::thread(&Worker::Loop, this);
  delivery_.Add(this);
}

void Worker::Post(std::unique_ptr<Job> job) {
  delivery_.Expect();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  delivery_.Remove(this);
  // A job may hold the last reference to this worker: nothing of it is touched once they are gone.
  const std::deque<std::unique_ptr<Job>> dropped = std::move(jobs_);
}

void Worker::Loop() {
  pthread_setname_np(pthread_self(), "pi05");
  pi05_session* session = nullptr;
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) break;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job->Run(&session);
    delivery_.Done(std::move(job));
  }
  pi05_close(session);
}

void LowerPriority() {
  const sched_param none = {};
  if (sched_setscheduler(0, SCHED_IDLE, &none) == 0) return;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
}

}  // namespace pi05::addon
