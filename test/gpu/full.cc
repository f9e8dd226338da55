// gpu_full [CHECKPOINT] [fp8]: compares one inference on the GPU in bf16, or in fp8 too, with the CPU engine in fp32,
// every row of actions and every intermediate; without a checkpoint, with random weights of full size. Exits with 1
// where the cosine of a row of actions is below 0.9995, in fp8 below 0.99.
#include <algorithm>
#include <cstdio>

#include "pi05/make_checkpoint.h"
#include "random_case.h"
#include "scratch.h"

namespace {

constexpr double kMinCosine = 0.9995, kMinFp8Cosine = 0.99;

fixtures::Tensors infer(const std::string& checkpoint, pi05_backend backend,
                        pi05_precision precision = PI05_PRECISION_BF16) {
  const fixtures::Session session(checkpoint, 0, backend, precision);
  const pi05_info& info = session.info;
  const RandomCase inputs(info, 2, static_cast<size_t>(std::min(60, info.max_tokens)));
  pi05_request request = inputs.request();
  fixtures::Tensors tensors = fixtures::infer_traced(session, request);
  if (backend == PI05_BACKEND_CUDA) {
    int different = 0;
    for (int i = 0; i < 20; i++) different += fixtures::infer(session, request) != tensors["actions"];
    std::printf("cuda: %d of 20 more inferences differ\n", different);
  }
  std::vector<float> previous(inputs.noise.rbegin(), inputs.noise.rend());
  request.rtc = {PI05_RTC_GUIDED, PI05_RTC_EXP, previous.data(), info.horizon - 2, 3, 8, 10.0f};
  tensors["actions_guided"] = fixtures::infer(session, request);
  request.rtc.mode = PI05_RTC_TRAINED;
  tensors["actions_trained"] = fixtures::infer(session, request);
  return tensors;
}

// Whether every row of actions is near enough.
bool compare(const char* precision, const fixtures::Tensors& gpu, const fixtures::Tensors& cpu, double least) {
  for (const auto& [name, expected] : cpu) {
    const std::vector<float>& actual = gpu.at(name);
    std::printf("%s %-16s cosine %.7f, largest error %.1e relative to the largest value\n", precision, name.c_str(),
                cosine(actual.data(), expected.data(), expected.size()), fixtures::relative_error(actual, expected));
  }
  bool good = true;
  for (const char* name : {"actions", "actions_guided", "actions_trained"}) {
    const double smallest = smallest_cosine(gpu.at(name), cpu.at(name), 32);
    std::printf("%s %s: smallest cosine of a row %.6f\n", precision, name, smallest);
    good = good && smallest >= least;
  }
  std::printf("%s %s: the cosine of every row of actions has to be at least %.4f\n", precision, good ? "ok" : "FAILED",
              least);
  return good;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const bool fp8 = count > 1 && std::string(arguments[count - 1]) == "fp8";
    if (fp8) count--;
    const scratch::Directory made;
    if (count < 2) fixtures::require_ok(pi05_make_checkpoint(made.path.c_str(), PI05_SIZE_FULL, 1));
    const std::string checkpoint = count < 2 ? made.path : arguments[1];
    const fixtures::Tensors cpu = infer(checkpoint, PI05_BACKEND_CPU);
    bool good = compare("bf16", infer(checkpoint, PI05_BACKEND_CUDA), cpu, kMinCosine);
    if (fp8) good &= compare("fp8", infer(checkpoint, PI05_BACKEND_CUDA, PI05_PRECISION_FP8), cpu, kMinFp8Cosine);
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
  }
}
