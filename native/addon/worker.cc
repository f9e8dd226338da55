#include "worker.h"

#include <pthread.h>

#include <utility>

#include "completion_queue.h"

namespace pi05::addon {

Worker::Worker(CompletionQueue& completions) : completions_(completions) {
  thread_ = std::thread(&Worker::Loop, this);
  completions_.AddWorker(this);
}

void Worker::Post(std::unique_ptr<Job> job) {
  completions_.AddPending();
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
  completions_.RemoveWorker(this);
  // Destroying a job may release the last reference to this worker, so no member is used after this line.
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
    completions_.Push(std::move(job));
  }
  pi05_close(session);
}

}  // namespace pi05::addon
