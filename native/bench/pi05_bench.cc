// pi05_bench: how long an inference takes on the GPU, from images in host memory to actions in host memory.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "backend/cuda/cuda.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/make_checkpoint.h"
#include "model/model.h"

namespace {

const char* const kUsage = R"(usage: pi05_bench (--checkpoint DIR | --random tiny|demo|full) [options]
  --cameras N     640 x 480 rgb8 cameras (2)
  --tokens N      prompt tokens (60)
  --horizon N     action rows (the checkpoint's)
  --steps N       flow steps (the checkpoint's)
  --warmup N      inferences before the first that counts (100)
  --requests N    inferences that count (500)
  --stages N      inferences more, with the time of each stage (100)
  --ceilings 0    leave out the matrix product and the copy that the GPU is measured with
  --json FILE     writes the figures there as well
)";

struct Options {
  std::string checkpoint, random, json;
  int64_t cameras = 2, tokens = 60, horizon = 0, steps = 0, warmup = 100, requests = 500, stages = 100, ceilings = 1;
};

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; i += 2) {
    const std::string name = arguments[i];
    if (i + 1 == count) return false;
    const char* value = arguments[i + 1];
    const std::pair<const char*, std::string*> texts[] = {
        {"--checkpoint", &options.checkpoint}, {"--random", &options.random}, {"--json", &options.json}};
    const std::pair<const char*, int64_t*> numbers[] = {
        {"--cameras", &options.cameras},   {"--tokens", &options.tokens}, {"--horizon", &options.horizon},
        {"--steps", &options.steps},       {"--warmup", &options.warmup}, {"--requests", &options.requests},
        {"--ceilings", &options.ceilings}, {"--stages", &options.stages}};
    bool known = false;
    for (const auto& [option, to] : texts)
      if (name == option) *to = value, known = true;
    for (const auto& [option, to] : numbers)
      if (name == option) *to = std::atoll(value), known = true;
    if (!known) return false;
  }
  return options.checkpoint.empty() != options.random.empty() && options.cameras > 0 && options.tokens > 0 &&
         options.requests > 0;
}

using Clock = std::chrono::steady_clock;
double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Statistics {
  double mean = 0, p50 = 0, p95 = 0, p99 = 0, least = 0, most = 0;
};

Statistics statistics_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return times[std::min(times.size() - 1, static_cast<size_t>(part * static_cast<double>(times.size())))];
  };
  Statistics result{0, at(0.5), at(0.95), at(0.99), times.front(), times.back()};
  for (const double time : times) result.mean += time / static_cast<double>(times.size());
  return result;
}

pi05_size size_named(const std::string& name) {
  if (name != "tiny" && name != "demo" && name != "full") throw std::runtime_error("Expected tiny, demo or full");
  return name == "tiny" ? PI05_SIZE_TINY : name == "demo" ? PI05_SIZE_DEMO : PI05_SIZE_FULL;
}

// What an inference reads; the values hardly matter to the time.
struct Scene {
  Scene(const pi05::Dimensions& dims, const Options& options)
      : pixels(static_cast<size_t>(options.cameras), std::vector<uint8_t>(640 * 480 * 3)),
        tokens(static_cast<size_t>(options.tokens)),
        noise(static_cast<size_t>(dims.horizon * dims.action_dim)) {
    uint32_t state = 1;
    const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
    for (auto& camera : pixels)
      for (uint8_t& value : camera) value = static_cast<uint8_t>(next() >> 16);
    for (int32_t& token : tokens) token = static_cast<int32_t>(next() % static_cast<uint32_t>(dims.prefix.vocab));
    for (float& value : noise) value = static_cast<float>(next()) / static_cast<float>(1 << 23) - 1.0f;
    for (size_t i = 0; i < pixels.size(); i++) {
      request.images.push_back({pixels[i].data(), 640, 480, 1920, PI05_PIXELS_RGB8});
      request.slots.push_back(static_cast<int64_t>(i));
    }
    request.tokens = tokens.data();
    request.token_count = options.tokens;
    request.noise = noise.data();
    request.steps = options.steps ? options.steps : dims.steps;
  }
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<int32_t> tokens;
  std::vector<float> noise;
  pi05::Request request;
};

void measure(const Options& options) {
  std::string directory = options.checkpoint;
  std::string made;
  if (directory.empty()) {
    made = (std::filesystem::temp_directory_path() / "pi05-bench-XXXXXX").string();
    if (!mkdtemp(made.data())) throw std::runtime_error("Expected a temporary directory, received none");
    directory = made;
    pi05::make_checkpoint(directory, pi05::dimensions_of(size_named(options.random)), 1);
  }
  const Clock::time_point opened = Clock::now();
  pi05::Checkpoint checkpoint = pi05::open_checkpoint(directory);
  if (!made.empty()) std::filesystem::remove_all(made);  // stays mapped
  if (options.horizon) checkpoint.dims.horizon = options.horizon;
  const pi05::Dimensions& dims = checkpoint.dims;
  if (options.cameras > dims.slots || options.tokens > dims.max_tokens)
    throw std::runtime_error("Expected at most " + std::to_string(dims.slots) + " cameras and " +
                             std::to_string(dims.max_tokens) + " tokens");
  const int64_t used_before = pi05::cuda_memory().used;
  const auto ops = pi05::make_cuda_ops(dims, pi05::cuda_precision());
  pi05::Model model(*ops, checkpoint.weights, checkpoint.family, checkpoint.resize);
  const double load = milliseconds_since(opened);

  const Scene scene(dims, options);
  std::vector<float> actions(static_cast<size_t>(dims.horizon * dims.action_dim)), first;
  const auto infer = [&] {
    const Clock::time_point begin = Clock::now();
    model.infer(scene.request, actions.data(), {});
    return milliseconds_since(begin);
  };
  const double first_time = infer();
  first = actions;
  for (int64_t i = 0; i < options.warmup; i++) infer();
  std::vector<double> times;
  int64_t different = 0;
  for (int64_t i = 0; i < options.requests; i++) {
    times.push_back(infer());
    different += actions != first;
  }
  const Statistics total = statistics_of(times);
  const auto memory = static_cast<double>(pi05::cuda_memory().used - used_before);

  std::array<Statistics, pi05::kStages> stages{};
  if (options.stages > 0) {
    pi05::measure_stages(*ops);
    std::array<std::vector<double>, pi05::kStages> samples;
    for (int64_t i = 0; i < 10 + options.stages; i++) {
      infer();
      const auto latest = pi05::stage_times(*ops);
      if (i >= 10)
        for (size_t s = 0; s < latest.size(); s++) samples[s].push_back(double{latest[s]});
    }
    for (size_t s = 0; s < samples.size(); s++) stages[s] = statistics_of(samples[s]);
  }
  const pi05::CudaCeilings ceilings = options.ceilings ? pi05::measure_ceilings() : pi05::CudaCeilings{};

  const std::string device = pi05::cuda_device_name();
  std::printf("%s: %lld cameras, %lld tokens, horizon %lld, %lld steps, %lld inferences after %lld\n", device.c_str(),
              static_cast<long long>(options.cameras), static_cast<long long>(options.tokens),
              static_cast<long long>(dims.horizon), static_cast<long long>(scene.request.steps),
              static_cast<long long>(options.requests), static_cast<long long>(options.warmup));
  std::printf("  inference  mean %.3f  p50 %.3f  p95 %.3f  p99 %.3f  least %.3f  most %.3f ms\n", total.mean, total.p50,
              total.p95, total.p99, total.least, total.most);
  for (size_t s = 0; s < stages.size() && options.stages > 0; s++)
    std::printf("  %-9s  mean %.3f  p50 %.3f  p99 %.3f ms\n", pi05::kStageNames[s], stages[s].mean, stages[s].p50,
                stages[s].p99);
  std::printf("  load %.0f ms, first inference %.0f ms, GPU memory %.2f GB, %lld results that differ\n", load,
              first_time, memory / 1e9, static_cast<long long>(different));
  if (options.ceilings)
    std::printf("  ceilings: %.0f TFLOP/s (bf16 8192^3), %.2f TB/s (copy)\n", ceilings.tflops, ceilings.terabytes);

  if (options.json.empty()) return;
  FILE* file = std::fopen(options.json.c_str(), "w");
  if (!file) throw std::runtime_error("Expected to write " + options.json);
  const auto write = [file](const char* name, const Statistics& s) {
    std::fprintf(file, "\"%s\":{\"mean\":%.4f,\"p50\":%.4f,\"p95\":%.4f,\"p99\":%.4f,\"min\":%.4f,\"max\":%.4f}", name,
                 s.mean, s.p50, s.p95, s.p99, s.least, s.most);
  };
  std::fprintf(file, "{\"device\":\"%s\",\"cameras\":%lld,\"tokens\":%lld,\"horizon\":%lld,\"steps\":%lld,",
               device.c_str(), static_cast<long long>(options.cameras), static_cast<long long>(options.tokens),
               static_cast<long long>(dims.horizon), static_cast<long long>(scene.request.steps));
  std::fprintf(file, "\"warmup\":%lld,\"requests\":%lld,", static_cast<long long>(options.warmup),
               static_cast<long long>(options.requests));
  write("inference_ms", total);
  std::fprintf(file, ",\"stages_ms\":{");
  for (size_t s = 0; s < stages.size(); s++) {
    if (s > 0) std::fprintf(file, ",");
    write(pi05::kStageNames[s], stages[s]);
  }
  std::fprintf(file, "},\"load_ms\":%.0f,\"first_ms\":%.1f,\"gpu_bytes\":%.0f,\"different\":%lld", load, first_time,
               memory, static_cast<long long>(different));
  std::fprintf(file, ",\"ceilings\":{\"bf16_tflops\":%.1f,\"copy_tb_per_s\":%.3f}}\n", ceilings.tflops,
               ceilings.terabytes);
  if (std::fclose(file) != 0) throw std::runtime_error("Expected to write " + options.json);
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  try {
    measure(options);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pi05_bench: %s\n", error.what());
    return 1;
  }
}
