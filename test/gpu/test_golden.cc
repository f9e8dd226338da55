// The whole model on the GPU against the reference implementations' results, both families, every case: in bf16 as
// close to fp32 as the reference's bf16, in fp32 within rounding, and the same bits in every run.
#include <cstdlib>

#include "backend/cuda/kernels/kernels.h"
#include "fixtures.h"
#include "gpu.h"

using fixtures::Case;
using fixtures::Session;
using fixtures::Tensors;

namespace {

struct Golden {
  const char *directory, *name, *reference;  // reference: the bf16 actions that set the tolerance
};
const Golden kCases[] = {
    {"tiny-openpi", "case_two_cameras_short_prompt", "actions_bf16_rope_fp32"},
    {"tiny-openpi", "case_two_cameras_max_prompt", "actions_bf16_rope_fp32"},
    {"tiny-openpi", "case_three_cameras", "actions_bf16_rope_fp32"},
    {"tiny-openpi", "case_one_camera", "actions_bf16_rope_fp32"},
    {"tiny-lerobot", "case_two_cameras", "actions_bf16"},
};

struct Difference {
  double mean, largest;
};

Difference difference(const std::vector<float>& actual, const std::vector<float>& expected) {
  Difference result{0, 0};
  if (actual.size() != expected.size() || actual.empty()) return {INFINITY, INFINITY};
  for (size_t i = 0; i < actual.size(); i++) {
    const double error = std::abs(double{actual[i]} - double{expected[i]});
    result.mean += error / static_cast<double>(actual.size());
    if (!(error <= result.largest)) result.largest = std::isnan(error) ? INFINITY : error;
  }
  return result;
}

struct Engine {
  Engine(const char* directory, const std::string& precision)
      : environment(setenv("PI05_CUDA_PRECISION", precision == "fp8" ? "bf16" : precision.c_str(), 1)),
        session(fixtures::path(directory), 0, PI05_BACKEND_CUDA,
                precision == "fp8" ? PI05_PRECISION_FP8 : PI05_PRECISION_BF16) {
    CHECK(environment == 0 && session.info.backend == PI05_BACKEND_CUDA);
  }
  int environment;
  Session session;
};

std::vector<float> uniform_noise(size_t count) {
  std::vector<float> values(count);
  uint32_t state = 7;
  for (float& value : values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1.0f;
  }
  return values;
}

}  // namespace

TEST(bf16_actions_are_as_close_to_fp32_as_the_references_bf16) {
  for (const Golden& golden : kCases) {
    const Engine engine(golden.directory, "bf16");
    Case inputs(std::string(golden.directory) + "/" + golden.name + ".safetensors");
    const std::vector<float> exact = inputs.golden.floats("actions");
    const Difference actual = difference(fixtures::infer(engine.session, inputs.request()), exact);
    const Difference reference = difference(inputs.golden.floats(golden.reference), exact);
    std::printf("  %s/%s: mean %.2e max %.2e, reference's mean %.2e max %.2e\n", golden.directory, golden.name,
                actual.mean, actual.largest, reference.mean, reference.largest);
    CHECK(actual.mean <= reference.mean && actual.largest <= reference.largest);
  }
}

TEST(bf16_intermediates_stay_near_fp32) {
  for (const Golden& golden : kCases) {
    const Engine engine(golden.directory, "bf16");
    Case inputs(std::string(golden.directory) + "/" + golden.name + ".safetensors");
    for (const auto& [tensor, values] : fixtures::infer_traced(engine.session, inputs.request())) {
      if (!inputs.golden.has(tensor)) continue;
      const double error = fixtures::relative_error(values, inputs.golden.floats(tensor));
      std::printf("  %s/%s %s %.1e (at most 3e-2)\n", golden.directory, golden.name, tensor.c_str(), error);
      CHECK(error <= 3e-2);
    }
  }
}

// The bounds are about twice the largest errors measured. Rounding to e4m3 changes a value by up to 1/16 of it, to bf16
// by up to 1/512.
TEST(fp8_actions_and_intermediates_stay_near_fp32) {
  if (!pi05::kernels::fp8_gemm_supported()) {
    std::printf("  not run: this GPU does not support precision fp8\n");
    return;
  }
  for (const Golden& golden : kCases) {
    const Engine engine(golden.directory, "fp8");
    Case inputs(std::string(golden.directory) + "/" + golden.name + ".safetensors");
    const std::vector<float> exact = inputs.golden.floats("actions");
    const Difference actual = difference(fixtures::infer(engine.session, inputs.request()), exact);
    std::printf("  %s/%s: mean %.2e max %.2e\n", golden.directory, golden.name, actual.mean, actual.largest);
    CHECK(actual.mean <= 3.5e-2 && actual.largest <= 2e-1);
    for (const auto& [tensor, values] : fixtures::infer_traced(engine.session, inputs.request())) {
      if (!inputs.golden.has(tensor)) continue;
      const double error = fixtures::relative_error(values, inputs.golden.floats(tensor));
      std::printf("  %s/%s %s %.1e (at most 2e-1)\n", golden.directory, golden.name, tensor.c_str(), error);
      CHECK(error <= 2e-1);
    }
  }
}

TEST(fp32_intermediates_equal_the_references_within_rounding) {
  for (const Golden& golden : kCases) {
    const Engine engine(golden.directory, "fp32");
    Case inputs(std::string(golden.directory) + "/" + golden.name + ".safetensors");
    size_t compared = 0;
    for (const auto& [tensor, values] : fixtures::infer_traced(engine.session, inputs.request())) {
      if (!inputs.golden.has(tensor)) continue;
      const double error = fixtures::relative_error(values, inputs.golden.floats(tensor));
      std::printf("  %s/%s %s %.1e (at most 1e-4)\n", golden.directory, golden.name, tensor.c_str(), error);
      CHECK(error <= 1e-4);
      compared++;
    }
    CHECK(compared >= 8);
  }
}

TEST(every_run_gives_the_same_bits) {
  for (const std::string precision : {"bf16", "fp32", "fp8"}) {
    if (precision == "fp8" && !pi05::kernels::fp8_gemm_supported()) continue;
    Case two("tiny-openpi/case_two_cameras_short_prompt.safetensors"), one("tiny-openpi/case_one_camera.safetensors");
    const Engine engine("tiny-openpi", precision);
    const Tensors traced = fixtures::infer_traced(engine.session, two.request());
    const std::vector<float> expected = fixtures::infer(engine.session, two.request());
    CHECK(traced.at("actions") == expected);
    for (int i = 0; i < 20; i++) {
      if (i % 5 == 4) fixtures::infer(engine.session, one.request());  // another graph in between
      CHECK(fixtures::infer(engine.session, two.request()) == expected);
    }
    const Engine again("tiny-openpi", precision);
    CHECK(fixtures::infer(again.session, two.request()) == expected);
  }
}

// Runs more shapes than the graph cache holds and a larger image, then the first shape again.
TEST(evicted_graphs_are_captured_again) {
  const Engine engine("tiny-openpi", "fp32");
  Case inputs("tiny-openpi/case_one_camera.safetensors");
  const std::vector<float> expected = fixtures::infer(engine.session, inputs.request());
  std::vector<uint8_t> large(640 * 480 * 4);
  for (size_t i = 0; i < large.size(); i++) large[i] = static_cast<uint8_t>(i * 7919 >> 4);
  const std::vector<int32_t> tokens(48, 5);
  for (int32_t width = 640; width > 640 - 12; width--)
    for (int32_t count = 1; count <= 48; count++) {
      pi05_request request = inputs.request();
      inputs.images[0] = {large.data(), width, 480, 640 * 4, PI05_PIXELS_BGRA8, static_cast<int64_t>(large.size())};
      request.tokens = tokens.data();
      request.token_count = count;
      fixtures::infer(engine.session, request);
    }
  CHECK(fixtures::infer(engine.session, inputs.request()) == expected);
}

TEST(real_time_chunking_follows_the_cpu) {
  for (const pi05_rtc_mode mode : {PI05_RTC_GUIDED, PI05_RTC_TRAINED}) {
    const Engine engine("tiny-lerobot", "fp32");
    const Session cpu(fixtures::path("tiny-lerobot"));
    Case inputs("tiny-lerobot/case_two_cameras.safetensors");
    pi05_request request = inputs.request();
    const std::vector<float> previous = uniform_noise(inputs.noise.size());
    request.rtc = {mode, PI05_RTC_EXP, previous.data(), 7, 3, 6, 10.0f};
    CHECK_LE(fixtures::relative_error(fixtures::infer(engine.session, request), fixtures::infer(cpu, request)), 1e-4);
  }
}

TEST(closed_sessions_free_their_gpu_memory) {
  Case inputs("tiny-openpi/case_one_camera.safetensors");
  int64_t before = 0;
  for (int i = 0; i < 50; i++) {
    const Engine engine("tiny-openpi", "bf16");
    fixtures::infer(engine.session, inputs.request());
    if (i == 5) before = pi05::cuda_memory().used;
  }
  CHECK_LE(static_cast<double>(pi05::cuda_memory().used - before), 0.0);
}

RUN_GPU_TESTS()
