// A fixed set of threads that share out a loop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pi05 {

// Puts the calling thread at SCHED_IDLE, or at nice 10 where that is refused. Other threads keep theirs.
void lower_thread_priority();

// `threads` threads in all: the one that calls run(), and threads − 1 workers that live as long as the pool. Workers
// spin for some tens of microseconds after a loop, because the next one usually follows at once, and then sleep.
// With low_priority the workers lower their own priority; the caller's is the caller's business, so a thread that runs
// inferences calls lower_thread_priority() itself.
class ThreadPool {
 public:
  ThreadPool(int threads /* 0 = one per core */, bool low_priority);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end) for disjoint ranges that cover [0, n), and returns when all have returned. Where the ranges
  // are cut depends on n and size() alone; which thread takes which is left open. A body whose element i does not look
  // at begin and end therefore computes the same with any number of threads. If bodies throw, every range is still
  // visited and the exception of the first range is rethrown. One loop at a time; not from inside a body.
  void run(int64_t n, const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  struct Loop {
    const std::function<void(int64_t, int64_t)>* body;
    int64_t n;
    uint32_t ranges;
  };

  void work(bool low_priority);
  bool take_range();
  void finish_range();

  // High 32 bits: number of the loop; low 32 bits: its ranges that nobody has taken. A worker that comes late finds no
  // range left, or a newer loop, and so never holds up a caller.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<uint32_t> unfinished_{0};
  std::atomic<int> sleeping_{0};
  Loop loop_{};  // written before ticket_ opens a loop, read only by those who took a range of it
  uint32_t failed_range_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
  std::mutex mutex_;
  std::condition_variable opened_;
  std::condition_variable closed_;
  std::vector<std::thread> workers_;
};

}  // namespace pi05
