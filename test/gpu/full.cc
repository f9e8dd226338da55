// gpu_full [CHECKPOINT]: compares one inference on the GPU in bf16 with the CPU engine in fp32, every row of actions
// and every intermediate; without a checkpoint, with random weights of full size. Exits with 1 where the cosine of a
// row of actions is below 0.9995.
#include <algorithm>
#include <cstdio>

#include "pi05/make_checkpoint.h"
#include "random_case.h"
#include "scratch.h"

namespace {

constexpr double kMinCosine = 0.9995;

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

}  // namespace

int main(int count, char** arguments) {
  try {
    const scratch::Directory made;
    if (count < 2) fixtures::require_ok(pi05_make_checkpoint(made.path.c_str(), PI05_SIZE_FULL, 1));
    const std::string checkpoint = count < 2 ? made.path : arguments[1];
    const fixtures::Tensors gpu = infer(checkpoint, PI05_BACKEND_CUDA), cpu = infer(checkpoint, PI05_BACKEND_CPU);
    for (const auto& [name, expected] : cpu) {
      const std::vector<float>& actual = gpu.at(name);
      std::printf("%-16s cosine %.7f, largest error %.1e relative to the largest value\n", name.c_str(),
                  cosine(actual.data(), expected.data(), expected.size()), fixtures::relative_error(actual, expected));
    }
    bool good = true;
    for (const char* name : {"actions", "actions_guided", "actions_trained"}) {
      const std::vector<float>&expected = cpu.at(name), &actual = gpu.at(name);
      const double smallest = smallest_cosine(actual, expected, 32);
      std::printf("%s: smallest cosine of a row %.6f\n", name, smallest);
      good = good && smallest >= kMinCosine;
    }
    std::printf("%s: the cosine of every row of actions has to be at least %.4f\n", good ? "ok" : "FAILED", kMinCosine);
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
  }
}
