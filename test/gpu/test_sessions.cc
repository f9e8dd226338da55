// Sessions on one GPU share weights, run concurrently and report failures as a status.
#include <cuda_runtime.h>

#include <thread>

#include "fixtures.h"
#include "gpu.h"
#include "pi05/make_checkpoint.h"
#include "scratch.h"

using fixtures::Case;
using fixtures::Session;

void lose_the_gpu();  // device_lost.cu

namespace {

const std::string kTiny = std::string(PI05_FIXTURES) + "/tiny-openpi";

// A random checkpoint, large enough to be visible in the GPU's memory use.
struct Demo : scratch::Directory {
  Demo() { fixtures::require_ok(pi05_make_checkpoint(path.c_str(), PI05_SIZE_DEMO, 1)); }
};

std::vector<float> infer_golden(const Session& session) {
  Case golden("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  return fixtures::infer(session, golden.request());
}

pi05_status try_open(pi05_session** session) {
  const pi05_options options{kTiny.c_str(), PI05_BACKEND_CUDA, 1, 0, PI05_PRECISION_BF16};
  return pi05_open(&options, session);
}

TEST(two_sessions_of_one_checkpoint_share_its_weights) {
  const Demo demo;
  const int64_t before = pi05::cuda_memory().used;
  const Session first(demo.path, 1, PI05_BACKEND_CUDA);
  const int64_t one = pi05::cuda_memory().used - before;
  const Session second(demo.path, 1, PI05_BACKEND_CUDA);
  const int64_t both = pi05::cuda_memory().used - before;
  std::printf("       one session %.1f MB, both %.1f MB, weights %.1f MB\n", static_cast<double>(one) / 1e6,
              static_cast<double>(both) / 1e6, static_cast<double>(first.info.weight_bytes) / 1e6);
  CHECK(both - one <= one - first.info.weight_bytes / 2);
}

TEST(two_sessions_at_once_give_the_same_as_one_alone) {
  const Session first(kTiny, 1, PI05_BACKEND_CUDA), second(kTiny, 1, PI05_BACKEND_CUDA);
  const std::vector<float> alone = infer_golden(first);
  int different_first = 0, different_second = 0;
  std::thread other([&] {
    for (int i = 0; i < 50; i++) different_second += infer_golden(second) != alone;
  });
  for (int i = 0; i < 50; i++) different_first += infer_golden(first) != alone;
  other.join();
  CHECK(different_second == 0);
  CHECK(different_first == 0);
}

TEST(a_prepared_session_gives_the_same_as_an_unprepared_one) {
  const Session plain(kTiny, 1, PI05_BACKEND_CUDA), prepared(kTiny, 1, PI05_BACKEND_CUDA);
  Case golden("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  const pi05_request like = golden.request();
  fixtures::require_ok(pi05_prepare(prepared.get(), &like));
  for (const size_t length : {golden.tokens.size(), size_t{1}, size_t{2}}) {
    golden.tokens.resize(length);
    const pi05_request request = golden.request();
    CHECK(fixtures::infer(prepared, request) == fixtures::infer(plain, request));
  }
}

TEST(too_little_memory_is_reported_and_leaves_the_gpu_usable) {
  size_t free = 0, total = 0;
  void* taken = nullptr;
  cudaMemGetInfo(&free, &total);
  size_t margin = size_t{4} << 20;
  while (cudaMalloc(&taken, free - margin) != cudaSuccess && margin < free / 2) margin += size_t{4} << 20;
  cudaGetLastError();
  std::vector<void*> blocks;
  for (void* block = nullptr; cudaMalloc(&block, size_t{1} << 20) == cudaSuccess;) blocks.push_back(block);
  cudaGetLastError();
  pi05_session* session = nullptr;
  const pi05_status status = try_open(&session);
  std::printf("       %s: %s\n", pi05_status_name(status), pi05_last_error());
  CHECK(status == PI05_OUT_OF_MEMORY);
  CHECK(std::string(pi05_last_error()).find("failed: out of memory") != std::string::npos);
  for (void* block : blocks) cudaFree(block);
  cudaFree(taken);
  const Session after(kTiny, 1, PI05_BACKEND_CUDA);
  infer_golden(after);
}

// Must be the last test: the process cannot use the GPU after it.
TEST(a_lost_gpu_is_reported_by_every_call) {
  const Session session(kTiny, 1, PI05_BACKEND_CUDA);
  Case golden("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  const pi05_request request = golden.request();
  std::vector<float> actions = infer_golden(session);
  lose_the_gpu();
  for (int i = 0; i < 2; i++) {
    const pi05_status status = pi05_infer(session.get(), &request, actions.data());
    std::printf("       %s: %s\n", pi05_status_name(status), pi05_last_error());
    CHECK(status == PI05_DEVICE_LOST);
  }
  pi05_session* other = nullptr;
  CHECK(try_open(&other) == PI05_DEVICE_LOST);
}

}  // namespace

RUN_GPU_TESTS()
