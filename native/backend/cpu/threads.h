// A thread pool for parallel loops.
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

// As pi05_lower_thread_priority().
void lower_thread_priority();

// `threads` includes the thread that calls run(); the other threads − 1 are workers that live as long as the pool.
// After a loop, workers spin for some tens of microseconds, because the next loop usually follows at once, and then
// sleep. low_priority applies to the workers: a calling thread lowers its own priority with lower_thread_priority().
class ThreadPool {
 public:
  ThreadPool(int threads /* 0 = one per core */, bool low_priority);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end) for disjoint ranges that cover [0, n), and returns when all calls have returned. The ranges
  // depend on n and size() only, but not which thread runs which. If bodies throw, every range is still visited and the
  // exception of the first range is rethrown. Runs one loop at a time; must not be called from a body.
  void run(int64_t n, const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  struct Loop {
    const std::function<void(int64_t, int64_t)>* body;
    int64_t n;
    uint32_t ranges;
  };

  void run_worker(bool low_priority);
  bool take_range();
  void finish_range();

  // High 32 bits: number of the loop; low 32 bits: its ranges that no thread has taken. A late worker finds no range
  // left, or a newer loop, so it never delays a caller.
  std::atomic<uint64_t> loop_state_{0};
  std::atomic<uint32_t> unfinished_{0};
  std::atomic<int> sleeping_{0};
  Loop loop_{};  // written before loop_state_ starts a loop, read only by threads that took a range of it
  uint32_t failed_range_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
  std::mutex mutex_;
  std::condition_variable loop_started_;
  std::condition_variable loop_finished_;
  std::vector<std::thread> workers_;
};

}  // namespace pi05
