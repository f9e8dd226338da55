// Whole models of other sizes than the golden ones, on the GPU against the CPU engine: widths that are multiples of 4
// but not of 8, and the standard action expert, whose flow is one kernel on compute capability 9.0 for at most 16
// action rows; and a small model.
#include "backend/cuda/kernels/kernels.h"
#include "checkpoint/make_checkpoint.h"
#include "gpu.h"
#include "random_case.h"
#include "scratch.h"

using fixtures::Session;
using pi05::Dimensions;

namespace {

constexpr double kMinCosine = 0.9995, kMinFp8Cosine = 0.999;

// The GPU against the CPU engine, for every number of cameras and several prompt lengths.
void compare(const Dimensions& dims, const char* precision) {
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, dims, 1);
  CHECK(setenv("PI05_CUDA_PRECISION", precision, 1) == 0);
  const Session gpu(made.path, 1, PI05_BACKEND_CUDA), cpu(made.path, 0);
  for (const size_t cameras : {1, 2, 3})
    for (const size_t tokens : {1, 60, 200}) {
      const RandomCase inputs(gpu.info, cameras, tokens);
      pi05_request request = inputs.request();
      std::vector<float> previous(inputs.noise.rbegin(), inputs.noise.rend());
      if (cameras == 3 && dims.horizon >= 15)
        request.rtc = {
            PI05_RTC_TRAINED, PI05_RTC_EXP, previous.data(), gpu.info.horizon, tokens == 60 ? 9 : 3, 8, 10.0f};
      if (cameras == 2) request.rtc = {PI05_RTC_GUIDED, PI05_RTC_EXP, previous.data(), gpu.info.horizon, 0, 3, 10.0f};
      const std::vector<float> actual = fixtures::infer(gpu, request), expected = fixtures::infer(cpu, request);
      const double cosine = smallest_cosine(actual, expected, static_cast<size_t>(dims.action_dim));
      const double error = fixtures::relative_error(actual, expected);
      std::printf("  %s, %zu cameras, %zu tokens, horizon %lld: cosine %.6f, error %.1e\n", precision, cameras, tokens,
                  static_cast<long long>(dims.horizon), cosine, error);
      CHECK(cosine >= kMinCosine);
      if (precision == std::string("fp32")) CHECK(error <= 1e-4);
    }
}

// The standard expert with two layers, on a small prefix and SigLIP.
Dimensions with_standard_expert() {
  Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
  dims.expert = Dimensions::Expert();
  dims.prefix.heads = dims.expert.heads, dims.prefix.head_dim = dims.expert.head_dim;
  dims.prefix.layers = dims.expert.layers = 2;
  return dims;
}

}  // namespace

TEST(widths_that_are_multiples_of_4_but_not_of_8_follow_the_cpu) {
  Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
  dims.prefix.width = 132, dims.expert.width = 68, dims.prefix.mlp = 324, dims.expert.mlp = 156;
  compare(dims, "bf16");
  compare(dims, "fp32");
}

TEST(the_standard_expert_follows_the_cpu_at_every_horizon) {
  Dimensions dims = with_standard_expert();
  for (const int64_t horizon : {1, 10, 15, 16, 17, 50}) {
    dims.horizon = horizon;
    compare(dims, "bf16");
  }
}

// The standard prefix and expert with two layers: the shapes of the e4m3 kernels of a full-size model. Its bf16 error
// is printed for comparison.
TEST(the_standard_prefix_in_fp8_follows_the_cpu) {
  if (!pi05::kernels::fp8_gemm_supported()) {
    std::printf("  not run: this GPU does not support precision fp8\n");
    return;
  }
  Dimensions dims;
  dims.vision.layers = dims.prefix.layers = dims.expert.layers = 2;
  dims.prefix.vocab = 512, dims.horizon = 15;
  const scratch::Directory made;
  pi05::make_checkpoint(made.path, dims, 1);
  CHECK(setenv("PI05_CUDA_PRECISION", "bf16", 1) == 0);
  const Session fp8(made.path, 1, PI05_BACKEND_CUDA, PI05_PRECISION_FP8), bf16(made.path, 1, PI05_BACKEND_CUDA),
      cpu(made.path, 0);
  for (const size_t cameras : {1, 2, 3})
    for (const size_t tokens : {1, 60, 200}) {
      const RandomCase inputs(cpu.info, cameras, tokens);
      const std::vector<float> expected = fixtures::infer(cpu, inputs.request());
      for (const Session* session : {&bf16, &fp8}) {
        const std::vector<float> actual = fixtures::infer(*session, inputs.request());
        const double cosine = smallest_cosine(actual, expected, static_cast<size_t>(dims.action_dim));
        std::printf("  %s, %zu cameras, %zu tokens: smallest cosine of a row %.6f, error %.1e\n",
                    session == &fp8 ? "fp8" : "bf16", cameras, tokens, cosine,
                    fixtures::relative_error(actual, expected));
        CHECK(cosine >= (session == &fp8 ? kMinFp8Cosine : kMinCosine));
      }
    }
}

// Layer by layer on every GPU, with skinny_gemm up to 64 rows.
TEST(an_expert_of_another_size_follows_the_cpu) {
  Dimensions dims = with_standard_expert();
  dims.expert.mlp = 1024;
  for (const int64_t horizon : {1, 16, 33, 64, 65}) {
    dims.horizon = horizon;
    compare(dims, "bf16");
  }
}

// The sizes that training/ uses: patches of 16 pixels, 100 tokens a camera, expert rows that are not a multiple of 64.
TEST(a_small_policy_follows_the_cpu) {
  Dimensions dims;
  dims.vision.hidden = 192, dims.vision.layers = 5, dims.vision.mlp = 512, dims.vision.heads = 3;
  dims.vision.image_size = 160, dims.vision.patch = 16;
  dims.prefix.width = 192, dims.prefix.layers = 5, dims.prefix.mlp = 512, dims.prefix.vocab = 1024;
  dims.expert.width = 160, dims.expert.layers = 5, dims.expert.mlp = 448;
  dims.prefix.heads = dims.expert.heads = 4, dims.prefix.head_dim = dims.expert.head_dim = 64;
  dims.horizon = 15;
  compare(dims, "bf16");
  compare(dims, "fp32");
}

RUN_GPU_TESTS()
