#include "checkpoint/make_checkpoint.h"

#include "check.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/model_file.h"
#include "checkpoint/tensor_spec.h"
#include "fixtures.h"
#include "scratch.h"

using fixtures::Session;
using scratch::Directory;

namespace {

void make(const Directory& directory, pi05_size size, uint64_t seed) {
  fixtures::require_ok(pi05_make_checkpoint(directory.path.c_str(), size, seed));
}

std::vector<float> floats_of(const std::vector<scratch::Entry>& entries, const std::string& part) {
  std::vector<float> values;
  for (const scratch::Entry& e : entries)
    if (e.name.find(part) != std::string::npos && e.dtype == "F32")
      for (size_t i = 0; i < e.bytes.size(); i += 4) {
        float value;
        std::memcpy(&value, &e.bytes[i], 4);
        values.push_back(value);
      }
  return values;
}

double mean_of(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<float>& values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const float value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace

TEST(same_size_and_seed_same_bytes) {
  const Directory one, two, other;
  make(one, PI05_SIZE_TINY, 7);
  make(two, PI05_SIZE_TINY, 7);
  make(other, PI05_SIZE_TINY, 8);
  for (const char* file : {"/model.safetensors", "/pi05_model.json"})
    CHECK(scratch::text_of(one.path + file) == scratch::text_of(two.path + file));
  CHECK(scratch::text_of(one.path + "/model.safetensors") != scratch::text_of(other.path + "/model.safetensors"));
}

TEST(tiny_and_demo_load_and_give_plausible_actions) {
  for (const pi05_size size : {PI05_SIZE_TINY, PI05_SIZE_DEMO}) {
    const Directory directory;
    make(directory, size, 1);
    const Session session(directory.path);
    CHECK(session.info.horizon == 15 && session.info.max_tokens == 200 && session.info.vocab == 512);
    fixtures::Case inputs("tiny-openpi/case_two_cameras_short_prompt.safetensors");
    inputs.noise.resize(15 * 32);
    for (size_t i = 10 * 32; i < inputs.noise.size(); i++) inputs.noise[i] = -inputs.noise[i - 5 * 32];
    const fixtures::Tensors tensors = fixtures::infer_traced(session, inputs.request());
    for (const auto& [name, values] : tensors) {
      const double deviation = deviation_of(values);
      std::printf("  %-14s deviation %.2f (0.2 to 5)\n", name.c_str(), deviation);
      CHECK(deviation >= 0.2 && deviation <= 5);
    }
  }
}

TEST(adaptive_gates_average_a_third) {
  const Directory directory;
  make(directory, PI05_SIZE_DEMO, 3);
  const std::vector<scratch::Entry> entries = scratch::load(directory.path + "/model.safetensors");
  std::vector<float> gates, others;
  const auto width = static_cast<size_t>(pi05::dimensions_of(PI05_SIZE_DEMO).expert.width);
  const std::vector<float> biases = floats_of(entries, "layernorm.dense.bias");
  CHECK(biases.size() == 8 * 3 * width);
  for (size_t i = 0; i < biases.size(); i++) (i / width % 3 == 2 ? gates : others).push_back(biases[i]);
  CHECK(std::abs(mean_of(gates) - 0.35) < 0.06 && std::abs(deviation_of(gates) - 0.4) < 0.06);
  CHECK(std::abs(mean_of(others)) < 0.03 && std::abs(deviation_of(others) - 0.2) < 0.03);
  CHECK(std::abs(mean_of(floats_of(entries, "layer_norm1.weight")) - 1) < 0.1);
}

// openpi's checkpoint has 812 tensors and 3.62 billion values.
TEST(the_full_size_has_openpi_s_tensors) {
  pi05::Weights weights;
  const std::vector<pi05::TensorSpec> specs = pi05::tensor_specs(pi05::dimensions_of(PI05_SIZE_FULL), weights);
  CHECK(specs.size() == 812);
  int64_t values = 0, full = 0;
  for (const pi05::TensorSpec& spec : specs) {
    int64_t count = 1;
    for (const int64_t length : spec.shape) count *= length;
    values += count;
    full += spec.stored == pi05::DType::F32;
    const bool expected = spec.name.find("norm") != std::string::npos ||
                          spec.name.find("embeddings.") != std::string::npos || spec.name.find("action_") == 0 ||
                          spec.name.find("time_") == 0;
    CHECK((spec.stored == pi05::DType::F32) == expected);
  }
  std::printf("  %lld values, %lld tensors of fp32\n", static_cast<long long>(values), static_cast<long long>(full));
  CHECK(values / 10'000'000 == 361 || values / 10'000'000 == 362);
}

TEST(reports_a_failed_write) {
  CHECK(pi05_make_checkpoint("/nonexistent/pi05", PI05_SIZE_TINY, 0) == PI05_CHECKPOINT_MISSING);
  CHECK(std::string(pi05_last_error()).find("write /nonexistent/pi05/model.safetensors failed: ") == 0);
}

TEST(the_model_file_is_read_with_the_same_sizes) {
  const Directory directory;
  const pi05::Dimensions demo = pi05::dimensions_of(PI05_SIZE_DEMO);
  directory.write("pi05_model.json", pi05::model_file_text(demo));
  const pi05::Dimensions read = pi05::read_model_file(directory.path).dims;
  CHECK(std::memcmp(&read, &demo, sizeof demo) == 0);
}

RUN_TESTS()
