#include "backend/cpu/threads.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pi05 {
namespace {

// More ranges than threads, so that the others do not wait for a thread that lost its core.
constexpr int64_t kRangesPerThread = 4;
constexpr int kSpins = 2000;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

void lower_thread_priority() {
  sched_param parameters{};
  if (sched_setscheduler(0, SCHED_IDLE, &parameters) == 0) return;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
}

ThreadPool::ThreadPool(int threads, bool low_priority) {
  if (threads <= 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    while (size() < threads) workers_.emplace_back([this, low_priority] { run_worker(low_priority); });
  } catch (const std::system_error&) {
    // The system has no more threads. A smaller pool computes the same results.
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  loop_started_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t n, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  if (workers_.empty() || n == 1) return body(0, n);
  const uint32_t ranges = static_cast<uint32_t>(std::min<int64_t>(n, size() * kRangesPerThread));
  loop_ = {&body, n, ranges};
  error_ = nullptr;
  unfinished_.store(ranges, std::memory_order_relaxed);
  const uint64_t number = (loop_state_.load(std::memory_order_relaxed) >> 32) + 1;
  loop_state_.store(number << 32 | ranges);
  if (sleeping_.load() > 0) {
    // After taking the mutex, every worker counted in sleeping_ is waiting and gets the notification.
    {
      std::lock_guard<std::mutex> lock(mutex_);
    }
    loop_started_.notify_all();
  }
  while (take_range()) {
  }
  for (int spin = 0; spin < kSpins && unfinished_.load(std::memory_order_acquire) != 0; spin++) pause_cpu();
  std::unique_lock<std::mutex> lock(mutex_);
  loop_finished_.wait(lock, [this] { return unfinished_.load(std::memory_order_acquire) == 0; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

bool ThreadPool::take_range() {
  uint64_t state = loop_state_.load(std::memory_order_acquire);
  do {
    if (static_cast<uint32_t>(state) == 0) return false;
  } while (!loop_state_.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel, std::memory_order_acquire));
  const uint32_t range = loop_.ranges - static_cast<uint32_t>(state);
  const auto boundary = [this](int64_t i) {
    return loop_.n / loop_.ranges * i + std::min<int64_t>(i, loop_.n % loop_.ranges);
  };
  try {
    (*loop_.body)(boundary(range), boundary(range + 1));
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_ || range < failed_range_) {
      error_ = std::current_exception();
      failed_range_ = range;
    }
  }
  finish_range();
  return true;
}

void ThreadPool::finish_range() {
  if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::lock_guard<std::mutex> lock(mutex_);
  loop_finished_.notify_one();
}

void ThreadPool::run_worker(bool low_priority) {
  if (low_priority) lower_thread_priority();
  const auto has_ranges = [this] { return static_cast<uint32_t>(loop_state_.load()) != 0; };
  for (;;) {
    for (int spin = 0; spin < kSpins && !has_ranges(); spin++) pause_cpu();
    if (!has_ranges()) {
      std::unique_lock<std::mutex> lock(mutex_);
      sleeping_++;
      loop_started_.wait(lock, [&] { return stop_ || has_ranges(); });
      sleeping_--;
      if (stop_) return;
    }
    while (take_range()) {
    }
  }
}

}  // namespace pi05
