// gpu_full [CHECKPOINT]: one inference by the CPU engine in fp32 and by the GPU in bf16, compared row by row and
// intermediate by intermediate; without a checkpoint, one of full size with random weights. Exits with 1 where a row of
// actions turns by more than a cosine of 0.9995.
#include <cstdio>

#include "scratch.h"

namespace {

constexpr double kLeastCosine = 0.9995;

fixtures::Tensors infer(const std::string& checkpoint, pi05_backend backend) {
  const fixtures::Session session(checkpoint, 0, backend);
  const pi05_info& info = session.info;
  uint32_t state = 11;
  const auto next = [&] { return state = state * 1664525 + 1013904223; };
  std::vector<uint8_t> pixels[2];
  for (auto& camera : pixels) {
    camera.resize(640 * 480 * 3);
    for (size_t i = 0; i < camera.size(); i++)
      camera[i] = static_cast<uint8_t>((i / 1920 * 3 + i % 1920 / 7 + (next() >> 27)) & 0xff);
  }
  std::vector<pi05_image> images(static_cast<size_t>(info.slots), pi05_image{});
  for (size_t i = 0; i < 2; i++) images[i] = {pixels[i].data(), 640, 480, 1920, PI05_PIXELS_RGB8};
  std::vector<int32_t> tokens(60);
  for (int32_t& token : tokens) token = static_cast<int32_t>(next() >> 8) % info.vocab;
  std::vector<float> noise(static_cast<size_t>(info.horizon * info.action_dim));
  for (float& value : noise) {  // twelve uniform values: nearly normal
    value = -6;
    for (int i = 0; i < 12; i++) value += static_cast<float>(next() >> 8) / static_cast<float>(1 << 24);
  }
  pi05_request request{};
  request.images = images.data();
  request.tokens = tokens.data();
  request.token_count = static_cast<int32_t>(tokens.size());
  request.noise = noise.data();
  fixtures::Tensors tensors = fixtures::infer_traced(session, request);
  if (backend == PI05_BACKEND_CUDA) {
    int different = 0;
    for (int i = 0; i < 20; i++) different += fixtures::infer(session, request) != tensors["actions"];
    std::printf("cuda: %d of 20 more inferences differ\n", different);
  }
  std::vector<float> previous(noise.rbegin(), noise.rend());
  request.rtc = {PI05_RTC_GUIDED, PI05_RTC_EXP, previous.data(), info.horizon - 2, 3, 8, 10.0f};
  tensors["actions_guided"] = fixtures::infer(session, request);
  request.rtc.mode = PI05_RTC_TRAINED;
  tensors["actions_trained"] = fixtures::infer(session, request);
  return tensors;
}

double cosine(const float* a, const float* b, size_t count) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < count; i++) ab += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return ab / std::sqrt(aa * bb);
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
      std::printf("%-16s cosine %.7f, largest error %.1e of the largest value\n", name.c_str(),
                  cosine(actual.data(), expected.data(), expected.size()), fixtures::relative_error(actual, expected));
    }
    bool good = true;
    for (const char* name : {"actions", "actions_guided", "actions_trained"}) {
      const std::vector<float>&expected = cpu.at(name), &actual = gpu.at(name);
      std::printf("%s, cosine of each row:", name);
      for (size_t row = 0; row * 32 < expected.size(); row++) {
        const double turned = cosine(&actual[row * 32], &expected[row * 32], 32);
        std::printf(" %.6f", turned);
        good = good && turned >= kLeastCosine;
      }
      std::printf("\n");
    }
    std::printf("%s: every row of actions at least %.4f\n", good ? "ok" : "FAILED", kLeastCosine);
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
  }
}
