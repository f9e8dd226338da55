// Which kernels an inference runs on, by GPU and shapes. Results differ between kernels only within rounding, so no
// other test fails when a faster kernel is no longer chosen.
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/launch_log.h"
#include "checkpoint/make_checkpoint.h"
#include "gpu.h"
#include "random_case.h"
#include "scratch.h"

using fixtures::Session;
using pi05::Dimensions;
using pi05::LaunchLog;

namespace {

constexpr int64_t kLayers = 2, kSteps = 10;

// The standard sizes, with two layers of each kind, a smaller prefix MLP and a small vocabulary.
Dimensions standard_layers(int64_t horizon) {
  Dimensions dims;
  dims.vision.layers = dims.prefix.layers = dims.expert.layers = kLayers;
  dims.prefix.mlp = 2048, dims.prefix.vocab = 512;
  dims.horizon = horizon, dims.steps = kSteps;
  return dims;
}

struct Expected {
  int64_t siglip_gemm;  // per layer
  bool persistent_expert;
};

// Checks the counts of the kernels that this GPU should have run.
void check_kernels(const LaunchLog& log, const Expected& expected) {
  const pi05::kernels::Gpu& gpu = pi05::kernels::gpu();
  const bool sm90 = gpu.is_sm90(), full_gpu = sm90 && gpu.multiprocessors >= 132;
  std::printf("  %d multiprocessors of compute capability %d.%d: %s\n", gpu.multiprocessors, gpu.major, gpu.minor,
              log.names().c_str());
  const bool persistent = log.count("expert_flow") > 0;
  const int64_t expert_layers = persistent ? 0 : kLayers * kSteps;
  const int64_t attentions = kLayers + (kLayers - 1) + expert_layers;  // the prefix's last layer has none
  CHECK(log.count("attention_f32") == 0);
  CHECK(log.count("cublaslt") > 0);
  if (full_gpu) {
    CHECK(persistent == expected.persistent_expert);
    CHECK(log.count("expert_flow") <= 1);
    CHECK(log.count("siglip_gemm") == expected.siglip_gemm * kLayers);
    CHECK(log.count("attention_sm90") == attentions);
  }
  if (sm90) {
    CHECK(log.count("geglu_gemm") == kLayers - 1);
    CHECK(log.count("skinny_gemm_sm90") == 4 * expert_layers);
    CHECK(log.count("skinny_gemm") == 0);
  } else {
    CHECK(!persistent);
    CHECK(log.count("siglip_gemm") + log.count("geglu_gemm") + log.count("attention_sm90") == 0);
    CHECK(log.count("attention") == attentions);
    CHECK(log.count("skinny_gemm") == 4 * expert_layers);
    CHECK(log.count("skinny_gemm_sm90") == 0);
  }
}

}  // namespace

TEST(the_standard_model_runs_on_this_gpus_fastest_kernels) {
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, standard_layers(15), 1);
  const Session session(made.path, 1, PI05_BACKEND_CUDA);
  for (const size_t cameras : {1, 2, 3}) {
    const RandomCase inputs(session.info, cameras, 60);
    LaunchLog log;
    fixtures::infer(session, inputs.request());
    check_kernels(log, {cameras == 3 ? 3 : 4, true});  // fc2 for three cameras takes more than one wave of blocks
  }
}

TEST(frozen_rows_run_in_the_persistent_kernel_too) {
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, standard_layers(15), 1);
  const Session session(made.path, 1, PI05_BACKEND_CUDA);
  const RandomCase inputs(session.info, 2, 60);
  pi05_request request = inputs.request();
  const std::vector<float> previous(inputs.noise.rbegin(), inputs.noise.rend());
  request.rtc = {PI05_RTC_TRAINED, PI05_RTC_EXP, previous.data(), session.info.horizon, 3, 8, 10.0f};
  LaunchLog log;
  fixtures::infer(session, request);
  check_kernels(log, {4, true});
}

TEST(long_chunks_run_layer_by_layer) {
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, standard_layers(50), 1);
  const Session session(made.path, 1, PI05_BACKEND_CUDA);
  const RandomCase inputs(session.info, 2, 60);
  LaunchLog log;
  fixtures::infer(session, inputs.request());
  check_kernels(log, {4, false});
}

TEST(fp8_runs_on_the_e4m3_kernels) {
  if (!pi05::kernels::fp8_gemm_supported()) {
    std::printf("  not run: this GPU does not support precision fp8\n");
    return;
  }
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, standard_layers(15), 1);
  const Session session(made.path, 1, PI05_BACKEND_CUDA, PI05_PRECISION_FP8);
  const RandomCase inputs(session.info, 2, 60);
  LaunchLog log;
  fixtures::infer(session, inputs.request());
  std::printf("  %s\n", log.names().c_str());
  CHECK(log.count("geglu_gemm_fp8") == kLayers - 1);
  CHECK(log.count("fp8_gemm") == kLayers + kLayers - 1);  // q, k and v of every layer, down of all but the last
  CHECK(log.count("geglu_gemm") == 0);
}

TEST(a_captured_inference_chooses_no_kernels_again) {
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, standard_layers(15), 1);
  const Session session(made.path, 1, PI05_BACKEND_CUDA);
  const RandomCase inputs(session.info, 2, 60);
  const std::vector<float> first = fixtures::infer(session, inputs.request());
  LaunchLog log;
  CHECK(fixtures::infer(session, inputs.request()) == first);
  CHECK(log.names().empty());
}

RUN_GPU_TESTS()
