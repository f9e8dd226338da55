// The time of an inference on the GPU, from images in host memory to actions in host memory, for one or several shapes,
// and the ceilings of the GPU in the same run. Needs no Node.js.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "bench/ceilings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/make_checkpoint.h"
#include "model/model.h"

namespace {

constexpr const char* kUsage = R"(Usage: pi05_bench (--checkpoint DIR | --random tiny|demo|full) [options]

Runs on the GPU with 640x480 rgb8 cameras. Lists are measured in every combination.
  --cameras N[,N…]  cameras in use (2)
  --tokens N[,N…]   prompt tokens (60)
  --horizon N[,N…]  action rows (the checkpoint's)
  --steps N         flow steps (the checkpoint's)
  --precision P[,…] bf16 and fp8 in this order, also more than once; --json takes one (bf16)
  --rtc MODE[,…]    none, guided or trained real-time chunking, with a delay of 3 rows (none)
  --warmup N        least number of inferences before the timed ones (100)
  --settle S        least seconds of warm-up, so that a GPU at its power limit reaches a steady clock (5)
  --requests N      timed inferences (500)
  --stages N        additional inferences, for the time of each stage (100)
  --ceilings 0      do not measure the GPU's ceilings (matrix product and copy)
  --commit NAME     recorded in the JSON
  --json FILE       also write the results to FILE
)";

using Numbers = std::vector<int64_t>;

struct Options {
  std::string checkpoint, random, json, commit, rtc = "none", precision = "bf16";
  Numbers cameras{2}, tokens{60}, horizon{0}, steps{0}, warmup{100}, settle{5}, requests{500}, stages{100}, ceilings{1};
};

std::vector<std::string> items_of(const std::string& list) {
  std::vector<std::string> items;
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  return items;
}

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; i += 2) {
    const std::string name = arguments[i];
    if (i + 1 == count) return false;
    const std::string value = arguments[i + 1];
    const std::pair<const char*, std::string*> texts[] = {{"--checkpoint", &options.checkpoint},
                                                          {"--random", &options.random},
                                                          {"--json", &options.json},
                                                          {"--rtc", &options.rtc},
                                                          {"--precision", &options.precision},
                                                          {"--commit", &options.commit}};
    const std::pair<const char*, Numbers*> numbers[] = {
        {"--cameras", &options.cameras},   {"--tokens", &options.tokens},     {"--horizon", &options.horizon},
        {"--settle", &options.settle},     {"--steps", &options.steps},       {"--warmup", &options.warmup},
        {"--requests", &options.requests}, {"--ceilings", &options.ceilings}, {"--stages", &options.stages}};
    bool known = false;
    for (const auto& [option, to] : texts)
      if (name == option) *to = value, known = true;
    for (const auto& [option, to] : numbers)
      if (name == option) {
        known = true;
        to->clear();
        for (const std::string& item : items_of(value)) to->push_back(std::atoll(item.c_str()));
      }
    if (!known) return false;
  }
  const auto all_at_least = [](const Numbers& list, int64_t least) {
    return !list.empty() && std::all_of(list.begin(), list.end(), [=](int64_t value) { return value >= least; });
  };
  const bool one_run = options.json.empty() || items_of(options.precision).size() == 1;
  return options.checkpoint.empty() != options.random.empty() && one_run && all_at_least(options.cameras, 1) &&
         all_at_least(options.tokens, 1) && all_at_least(options.horizon, 0) && all_at_least(options.requests, 1) &&
         all_at_least(options.warmup, 0) && all_at_least(options.settle, 0) && all_at_least(options.stages, 0);
}

using Clock = std::chrono::steady_clock;
double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Statistics {
  double mean = 0, p50 = 0, p95 = 0, p99 = 0, min = 0, max = 0;
};

Statistics statistics_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  // Nearest rank, as in src/statistics.ts.
  const auto percentile = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(times.size())));
    return times[std::max<size_t>(rank, 1) - 1];
  };
  Statistics result{0, percentile(0.5), percentile(0.95), percentile(0.99), times.front(), times.back()};
  for (const double time : times) result.mean += time / static_cast<double>(times.size());
  return result;
}

pi05_size size_named(const std::string& name) {
  if (name != "tiny" && name != "demo" && name != "full")
    throw std::runtime_error("Expected tiny, demo or full for --random, received " + name);
  return name == "tiny" ? PI05_SIZE_TINY : name == "demo" ? PI05_SIZE_DEMO : PI05_SIZE_FULL;
}

// The directory of the checkpoint. A random checkpoint is made in a temporary directory, deleted with this object.
struct CheckpointDirectory {
  explicit CheckpointDirectory(const Options& options) : path(options.checkpoint) {
    if (!path.empty()) return;
    temporary = (std::filesystem::temp_directory_path() / "pi05-bench-XXXXXX").string();
    if (!mkdtemp(temporary.data()))
      throw std::runtime_error("mkdtemp (" + temporary + ") failed: " + std::strerror(errno));
    path = temporary;
    pi05::make_checkpoint(path, pi05::dimensions_of(size_named(options.random)), 1);
  }
  ~CheckpointDirectory() {
    if (!temporary.empty()) std::filesystem::remove_all(temporary);
  }
  CheckpointDirectory(const CheckpointDirectory&) = delete;
  CheckpointDirectory& operator=(const CheckpointDirectory&) = delete;
  std::string path, temporary;  // temporary: empty for --checkpoint
};

// A model on the GPU, its load time and its memory.
struct Engine {
  Engine(const std::string& directory, int64_t horizon, pi05_precision precision) {
    const int64_t used_before = pi05::cuda_memory().used;
    const Clock::time_point begin = Clock::now();
    checkpoint = pi05::open_checkpoint(directory);
    if (horizon) checkpoint.dims.horizon = horizon;
    ops = pi05::make_cuda_ops(checkpoint.dims, pi05::cuda_precision(precision));
    model = std::make_unique<pi05::Model>(*ops, checkpoint.weights, checkpoint.family, checkpoint.resize);
    load = milliseconds_since(begin);
    memory = pi05::cuda_memory().used - used_before;
  }
  pi05::Checkpoint checkpoint;
  std::unique_ptr<pi05::Ops> ops;
  std::unique_ptr<pi05::Model> model;
  double load = 0;
  int64_t memory = 0;
};

// Random inputs of an inference. The time depends on their sizes only.
struct RandomInputs {
  RandomInputs(const pi05::Dimensions& dims, int64_t cameras, int64_t token_count, int64_t steps,
               pi05_rtc_mode mode = PI05_RTC_NONE)
      : pixels(static_cast<size_t>(cameras), std::vector<uint8_t>(640 * 480 * 3)),
        tokens(static_cast<size_t>(dims.max_tokens)),
        noise(static_cast<size_t>(dims.horizon * dims.action_dim)) {
    if (cameras > dims.slots || token_count > dims.max_tokens)
      throw std::runtime_error("Expected at most " + std::to_string(dims.slots) + " cameras and " +
                               std::to_string(dims.max_tokens) + " tokens");
    uint32_t state = 1;
    const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
    for (auto& camera : pixels)
      for (uint8_t& value : camera) value = static_cast<uint8_t>(next() >> 16);
    for (int32_t& token : tokens) token = static_cast<int32_t>(next() % static_cast<uint32_t>(dims.prefix.vocab));
    for (float& value : noise) value = static_cast<float>(next()) / static_cast<float>(1 << 23) - 1.0f;
    for (size_t i = 0; i < pixels.size(); i++) {
      request.images.push_back({pixels[i].data(), 640, 480, 1920, PI05_PIXELS_RGB8, 480 * 1920});
      request.slots.push_back(static_cast<int64_t>(i));
    }
    request.tokens = tokens.data();
    request.token_count = token_count;
    request.noise = noise.data();
    request.steps = steps ? steps : dims.steps;
    // The noise is as good a previous chunk as any other.
    const auto rows = static_cast<int32_t>(dims.horizon);
    request.rtc = {mode, PI05_RTC_EXP, noise.data(), rows, std::min(3, rows), rows, 10.0f};
  }
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<int32_t> tokens;
  std::vector<float> noise;
  pi05::Request request;
};

struct Figures {
  int64_t cameras, tokens, horizon, steps;
  std::string rtc;
  double first = 0;         // the first inference, ms
  double other_length = 0;  // the first inference of another prompt length, ms
  Statistics inference;
  std::array<Statistics, pi05::kStages> stages{};
  int64_t different = 0;  // results with other bits than the first
};

pi05_rtc_mode rtc_named(const std::string& name) {
  if (name != "none" && name != "guided" && name != "trained")
    throw std::runtime_error("Expected none, guided or trained for --rtc, received " + name);
  return name == "none" ? PI05_RTC_NONE : name == "guided" ? PI05_RTC_GUIDED : PI05_RTC_TRAINED;
}

pi05_precision precision_named(const std::string& name) {
  if (name != "bf16" && name != "fp8")
    throw std::runtime_error("Expected bf16 or fp8 for --precision, received " + name);
  return name == "fp8" ? PI05_PRECISION_FP8 : PI05_PRECISION_BF16;
}

Figures measure(Engine& engine, int64_t cameras, int64_t tokens, const std::string& rtc, const Options& options) {
  const pi05::Dimensions& dims = engine.checkpoint.dims;
  RandomInputs inputs(dims, cameras, tokens, options.steps[0], rtc_named(rtc));
  Figures figures{cameras, tokens, dims.horizon, inputs.request.steps, rtc, 0, 0, {}, {}, 0};
  std::vector<float> actions(static_cast<size_t>(dims.horizon * dims.action_dim)), expected;
  const auto infer = [&] {
    const Clock::time_point begin = Clock::now();
    engine.model->infer(inputs.request, actions.data(), {});
    return milliseconds_since(begin);
  };
  figures.first = infer();
  expected = actions;
  inputs.request.token_count = tokens > 1 ? tokens - 1 : 2;
  figures.other_length = infer();
  inputs.request.token_count = tokens;
  const Clock::time_point begin = Clock::now();
  for (int64_t i = 0; i < options.warmup[0] || milliseconds_since(begin) < 1e3 * static_cast<double>(options.settle[0]);
       i++)
    infer();
  std::vector<double> times;
  for (int64_t i = 0; i < options.requests[0]; i++) {
    times.push_back(infer());
    figures.different += actions != expected;
  }
  figures.inference = statistics_of(times);
  return figures;
}

// Called last, because from then on all graphs contain timing events.
void measure_stages(Engine& engine, Figures& figures, const Options& options) {
  const RandomInputs inputs(engine.checkpoint.dims, figures.cameras, figures.tokens, options.steps[0],
                            rtc_named(figures.rtc));
  std::vector<float> actions(static_cast<size_t>(figures.horizon * engine.checkpoint.dims.action_dim));
  std::array<std::vector<double>, pi05::kStages> samples;
  constexpr int64_t kWarmup = 10;
  for (int64_t i = 0; i < kWarmup + options.stages[0]; i++) {
    engine.model->infer(inputs.request, actions.data(), {});
    const auto latest = pi05::stage_times(*engine.ops);
    if (i >= kWarmup)
      for (size_t s = 0; s < latest.size(); s++) samples[s].push_back(double{latest[s]});
  }
  for (size_t s = 0; s < samples.size(); s++) figures.stages[s] = statistics_of(samples[s]);
}

void print(const std::string& precision, const Figures& f, bool stages) {
  const Statistics& t = f.inference;
  std::printf("%s, %lld cameras, %lld tokens, horizon %lld, %lld steps, RTC %s\n", precision.c_str(),
              static_cast<long long>(f.cameras), static_cast<long long>(f.tokens), static_cast<long long>(f.horizon),
              static_cast<long long>(f.steps), f.rtc.c_str());
  std::printf("  inference  mean %.3f  p50 %.3f  p95 %.3f  p99 %.3f  min %.3f  max %.3f ms\n", t.mean, t.p50, t.p95,
              t.p99, t.min, t.max);
  for (size_t s = 0; s < f.stages.size() && stages; s++)
    std::printf("  %-9s  mean %.3f  p50 %.3f  p99 %.3f ms\n", pi05::kStageNames[s], f.stages[s].mean, f.stages[s].p50,
                f.stages[s].p99);
  std::printf("  first inference %.1f ms, first of another prompt length %.1f ms, %lld results with other bits\n",
              f.first, f.other_length, static_cast<long long>(f.different));
}

void write(FILE* file, const char* name, const Statistics& s) {
  std::fprintf(file, "\"%s\":{\"mean\":%.4f,\"p50\":%.4f,\"p95\":%.4f,\"p99\":%.4f,\"min\":%.4f,\"max\":%.4f}", name,
               s.mean, s.p50, s.p95, s.p99, s.min, s.max);
}

void write(FILE* file, const Figures& f, bool stages) {
  std::fprintf(file, "{\"cameras\":%lld,\"tokens\":%lld,\"horizon\":%lld,\"steps\":%lld,\"rtc\":\"%s\",",
               static_cast<long long>(f.cameras), static_cast<long long>(f.tokens), static_cast<long long>(f.horizon),
               static_cast<long long>(f.steps), f.rtc.c_str());
  write(file, "inference_ms", f.inference);
  std::fprintf(file, ",\"stages_ms\":{");
  for (size_t s = 0; s < f.stages.size() && stages; s++) {
    if (s > 0) std::fprintf(file, ",");
    write(file, pi05::kStageNames[s], f.stages[s]);
  }
  std::fprintf(file, "},\"first_ms\":%.1f,\"another_length_ms\":%.1f,\"different\":%lld}", f.first, f.other_length,
               static_cast<long long>(f.different));
}

struct Run {
  std::string precision;
  double load = 0, prepare = 0;
  int64_t memory = 0, prepared_memory = 0;
  pi05::Ceilings ceilings{};
  std::vector<Figures> figures;
};

void write(const Options& options, const std::string& device, const Run& run) {
  FILE* file = std::fopen(options.json.c_str(), "w");
  if (!file) throw std::runtime_error("fopen (" + options.json + ") failed: " + std::strerror(errno));
  std::fprintf(file, "{\"device\":\"%s\",\"commit\":\"%s\",\"precision\":\"%s\",\"warmup\":%lld,\"settle_s\":%lld,",
               device.c_str(), options.commit.c_str(), run.precision.c_str(), static_cast<long long>(options.warmup[0]),
               static_cast<long long>(options.settle[0]));
  std::fprintf(file, "\"requests\":%lld,\n", static_cast<long long>(options.requests[0]));
  std::fprintf(file, "\"ceilings\":{\"bf16_tflops\":%.1f,\"copy_tb_per_s\":%.3f},\n", run.ceilings.bf16_tflops,
               run.ceilings.copy_tb_per_s);
  std::fprintf(file, "\"load_ms\":%.0f,\"gpu_bytes\":%lld,\"prepare_ms\":%.0f,\"prepare_gpu_bytes\":%lld,\n\"cases\":[",
               run.load, static_cast<long long>(run.memory), run.prepare, static_cast<long long>(run.prepared_memory));
  for (size_t i = 0; i < run.figures.size(); i++) {
    std::fprintf(file, i > 0 ? ",\n" : "\n");
    write(file, run.figures[i], options.stages[0] > 0);
  }
  std::fprintf(file, "\n]}\n");
  if (std::fclose(file) != 0) throw std::runtime_error("fclose (" + options.json + ") failed: " + std::strerror(errno));
}

void run(const Options& options, const std::string& checkpoint, const std::string& device,
         const std::string& precision) {
  Run run;
  run.precision = precision;
  for (const int64_t horizon : options.horizon) {
    Engine engine(checkpoint, horizon, precision_named(precision));
    std::vector<Figures> figures;
    for (const int64_t cameras : options.cameras)
      for (const int64_t tokens : options.tokens)
        for (const std::string& rtc : items_of(options.rtc))
          figures.push_back(measure(engine, cameras, tokens, rtc, options));
    if (horizon == options.horizon.front()) {
      const int64_t before = pi05::cuda_memory().used;
      const Clock::time_point begin = Clock::now();
      engine.model->prepare(RandomInputs(engine.checkpoint.dims, options.cameras[0], 1, options.steps[0]).request);
      run.prepare = milliseconds_since(begin);
      run.prepared_memory = pi05::cuda_memory().used - before;
      run.load = engine.load, run.memory = engine.memory;
    }
    if (options.stages[0] > 0) {
      pi05::measure_stages(*engine.ops);
      for (Figures& each : figures) measure_stages(engine, each, options);
    }
    for (const Figures& each : figures) print(precision, each, options.stages[0] > 0);
    run.figures.insert(run.figures.end(), figures.begin(), figures.end());
  }
  std::printf("%s: load %.0f ms, %.2f GB of GPU memory; ready for every prompt length after %.0f ms and %.2f GB more\n",
              precision.c_str(), run.load, static_cast<double>(run.memory) / 1e9, run.prepare,
              static_cast<double>(run.prepared_memory) / 1e9);
  if (options.ceilings[0]) {
    run.ceilings = pi05::measure_ceilings();
    std::printf("ceilings: %.0f TFLOP/s (bf16 8192^3), %.2f TB/s (copy)\n", run.ceilings.bf16_tflops,
                run.ceilings.copy_tb_per_s);
  }
  if (!options.json.empty()) write(options, device, run);
}

void run(const Options& options) {
  const CheckpointDirectory checkpoint(options);
  const std::string device = pi05::cuda_device_name();
  std::printf("%s, %lld inferences after a warm-up of at least %lld inferences and %lld s\n", device.c_str(),
              static_cast<long long>(options.requests[0]), static_cast<long long>(options.warmup[0]),
              static_cast<long long>(options.settle[0]));
  for (const std::string& precision : items_of(options.precision)) run(options, checkpoint.path, device, precision);
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  try {
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pi05_bench: %s\n", error.what());
    return 1;
  }
}
