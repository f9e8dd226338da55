#include <sched.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/threads.h"
#include "check.h"

using pi05::ThreadPool;

TEST(visits_every_element_once_with_any_number_of_threads) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads, false);
    CHECK(pool.size() == threads);
    for (int64_t n : {0, 1, 2, 7, 31, 32, 33, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
      pool.run(n, [&](int64_t begin, int64_t end) {
        CHECK(begin < end);
        for (int64_t i = begin; i < end; i++) visits[static_cast<size_t>(i)]++;
      });
      for (const auto& count : visits) CHECK(count == 1);
    }
  }
}

TEST(splits_a_loop_into_the_same_ranges_every_time) {
  ThreadPool pool(3, false);
  std::set<std::pair<int64_t, int64_t>> first;
  for (int round = 0; round < 200; round++) {
    std::set<std::pair<int64_t, int64_t>> ranges;
    std::mutex mutex;
    pool.run(1001, [&](int64_t begin, int64_t end) {
      std::lock_guard<std::mutex> lock(mutex);
      ranges.insert({begin, end});
    });
    if (round == 0) first = ranges;
    CHECK(ranges == first);
  }
  CHECK(first.size() > 1);
}

TEST(returns_only_when_every_range_is_done_loop_after_loop) {
  ThreadPool pool(4, false);
  std::vector<int64_t> values(64);  // not atomic: a loop that returns early, or overlaps the next, loses an increment
  constexpr int64_t kLoops = 20000;
  for (int64_t loop = 0; loop < kLoops; loop++)
    pool.run(64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) values[static_cast<size_t>(i)]++;
    });
  for (const int64_t value : values) CHECK(value == kLoops);
}

TEST(waits_for_a_slow_worker) {
  ThreadPool pool(2, false);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> inside{0};
  bool finished = false;
  pool.run(2, [&](int64_t, int64_t) {
    inside++;
    while (inside < 2) std::this_thread::yield();
    if (std::this_thread::get_id() == caller) return;
    for (volatile int i = 0; i < 20000000; i = i + 1) {
    }
    finished = true;
  });
  CHECK(finished);
}

TEST(uses_more_than_one_thread) {
  ThreadPool pool(2, false);
  std::atomic<int> inside{0};
  // Each body waits until the other has started, so one thread alone would never return.
  pool.run(2, [&](int64_t, int64_t) {
    inside++;
    while (inside < 2) std::this_thread::yield();
  });
  CHECK(inside == 2);
}

TEST(rethrows_the_exception_of_the_first_range_and_stays_usable) {
  for (int threads : {1, 4}) {
    ThreadPool pool(threads, false);
    for (int round = 0; round < 100; round++) {
      std::string caught;
      try {
        pool.run(64, [](int64_t begin, int64_t) { throw std::runtime_error(std::to_string(begin)); });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      CHECK(caught == "0");
      std::atomic<int64_t> sum{0};
      pool.run(64, [&](int64_t begin, int64_t end) { sum += end - begin; });
      CHECK(sum == 64);
    }
  }
}

TEST(lowers_the_workers_priority_and_not_the_callers) {
  const int before = sched_getscheduler(0);
  ThreadPool pool(2, true);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> inside{0}, worker_policy{-1};
  pool.run(2, [&](int64_t, int64_t) {
    if (std::this_thread::get_id() != caller) worker_policy = sched_getscheduler(0);
    inside++;
    while (inside < 2) std::this_thread::yield();
  });
  CHECK(worker_policy == SCHED_IDLE);
  CHECK(sched_getscheduler(0) == before);
}

RUN_TESTS()
