#include "backend/cpu/cpu_ops.h"
#include "check.h"
#include "checkpoint/json.h"
#include "fixtures.h"
#include "model/rtc.h"
#include "model/times.h"

using fixtures::Case;
using fixtures::Golden;
using fixtures::relative_error;
using fixtures::Session;
using pi05::Json;

namespace {

// All numbers of nested lists, in order.
std::vector<float> numbers(const Json& json) {
  if (json.is(Json::Type::Number)) return {static_cast<float>(json.number())};
  std::vector<float> all;
  for (const Json& item : json.array())
    for (const float value : numbers(item)) all.push_back(value);
  return all;
}

pi05_rtc_schedule schedule_of(const Json& json) {
  const std::string& name = json.string();
  return name == "linear" ? PI05_RTC_LINEAR
         : name == "exp"  ? PI05_RTC_EXP
         : name == "ones" ? PI05_RTC_ONES
                          : PI05_RTC_ZEROS;
}

pi05_rtc request_of(const Json& run, const std::vector<float>& previous) {
  pi05_rtc rtc{};
  rtc.mode = run.find("mode")->string() == "guided" ? PI05_RTC_GUIDED : PI05_RTC_TRAINED;
  rtc.previous = previous.data();
  rtc.previous_rows = static_cast<int32_t>(previous.size() / 32);
  rtc.delay = static_cast<int32_t>(run.find("inference_delay")->integer());
  if (rtc.mode == PI05_RTC_GUIDED) {
    rtc.schedule = schedule_of(*run.find("schedule"));
    rtc.execution_horizon = static_cast<int32_t>(run.find("execution_horizon")->integer());
    rtc.max_weight = static_cast<float>(run.find("max_guidance_weight")->number());
  }
  return rtc;
}

}  // namespace

TEST(prefix_weights_equal_lerobot_s_in_all_schedules) {
  const Json rtc = fixtures::read_json("rtc.json");
  double error = 0;
  size_t compared = 0;
  for (const Json& entry : rtc.find("prefix_weights")->array()) {
    const std::vector<float> weights =
        pi05::prefix_weights(schedule_of(*entry.find("schedule")), entry.find("start")->integer(),
                             entry.find("end")->integer(), entry.find("total")->integer());
    const std::vector<float> expected = numbers(*entry.find("weights"));
    CHECK(weights.size() == expected.size());
    for (size_t i = 0; i < weights.size(); i++)
      error = std::max(error, std::abs(double{weights[i]} - double{expected[i]}));
    compared++;
  }
  CHECK(compared == 44);
  CHECK_LE(error, 1e-6);
}

TEST(guidance_weight_equals_lerobot_s) {
  const Json rtc = fixtures::read_json("rtc.json");
  for (const Json& entry : rtc.find("guidance_weight")->array()) {
    std::vector<float> weights;
    for (const Json& time : entry.find("time")->array())
      weights.push_back(
          pi05::guidance_weight(time.number(), static_cast<float>(entry.find("max_guidance_weight")->number())));
    CHECK_LE(relative_error(weights, numbers(*entry.find("guidance_weight"))), 1e-6);
  }
}

// The toy denoiser of rtc.json with the Euler step of the backend.
TEST(guided_euler_steps_equal_the_worked_examples) {
  const Json rtc = fixtures::read_json("rtc.json");
  const Json& worked = *rtc.find("worked");
  const std::vector<float> w = numbers(*worked.find("W")), b = numbers(*worked.find("b")),
                           c = numbers(*worked.find("c"));
  const std::vector<float> noise = numbers(*worked.find("noise")), previous = numbers(*worked.find("previous_chunk"));
  pi05::Dimensions dims;
  dims.action_dim = 4, dims.horizon = 10;
  pi05::CpuOps ops(dims, 1, false);
  size_t compared = 0;
  for (const Json& example : worked.find("examples")->array()) {
    const int64_t steps = example.find("num_steps")->integer();
    const std::string name = example.find("name")->string();
    std::vector<float> y(40), prefix_weights(10), frozen_mask(10), guidance_weights(static_cast<size_t>(steps));
    const std::vector<float> times = pi05::flow_times(PI05_FAMILY_LEROBOT, steps);
    if (example.find("previous_chunk_rows")->is(Json::Type::Number)) {
      std::copy(previous.begin(), previous.end(), y.begin());
      if (name == "H")  // its previous chunk has no last column
        for (size_t r = 0; r < 10; r++) y[r * 4 + 3] = 0;
      const Json* end = example.find("execution_horizon");
      const int64_t horizon = end->is(Json::Type::Number) ? end->integer() : 10;
      prefix_weights =
          pi05::prefix_weights(schedule_of(*example.find("schedule")), example.find("inference_delay")->integer(),
                               std::min<int64_t>(horizon, 7), 10);
      for (size_t i = 0; i < times.size(); i++)
        guidance_weights[i] =
            pi05::guidance_weight(times[i], static_cast<float>(example.find("max_guidance_weight")->number()));
    }
    pi05::Inputs in;
    in.noise = noise.data(), in.prev_chunk = y.data(), in.prefix_weights = prefix_weights.data(),
    in.frozen_mask = frozen_mask.data();
    in.guidance_weights = guidance_weights.data(), in.times = times.data();

    const pi05::Matrix x = ops.allocate(10, 4, pi05::DType::F32), v = ops.allocate(10, 4, pi05::DType::F32);
    float *xs = static_cast<float*>(x.data), *vs = static_cast<float*>(v.data);
    ops.start(in, x);
    for (int64_t step = 0; step < steps; step++) {
      for (size_t r = 0; r < 10; r++)
        for (size_t j = 0; j < 4; j++) {
          float sum = b[j] * times[static_cast<size_t>(step)] + c[r * 4 + j];
          for (size_t i = 0; i < 4; i++) sum += xs[r * 4 + i] * w[i * 4 + j];
          vs[r * 4 + j] = example.find("denoiser")->string().find("tanh") == std::string::npos ? sum : std::tanh(sum);
        }
      ops.euler_step(in, step, steps, v, x);
    }
    const std::vector<float> result(xs, xs + 40);
    std::printf("  example %s\n", name.c_str());
    CHECK_LE(relative_error(result, numbers(*example.find("result"))), 1e-5);
    compared++;
  }
  CHECK(compared == 8);
}

TEST(both_modes_equal_lerobot_s_actions) {
  const Session session(fixtures::path("tiny-lerobot"));
  const Golden golden("tiny-lerobot/case_two_cameras_rtc.safetensors");
  const std::vector<float> previous = golden.floats("prev_chunk");
  const Json json = fixtures::read_json("tiny-lerobot/case_two_cameras_rtc.json");
  Case inputs("tiny-lerobot/case_two_cameras.safetensors");
  CHECK(json.find("runs")->array().size() == 4);
  for (const Json& run : json.find("runs")->array()) {
    const std::string name = run.find("name")->string();
    pi05_request request = inputs.request();
    request.rtc = request_of(run, previous);
    const fixtures::Tensors tensors = fixtures::infer_traced(session, request);
    std::printf("  %s\n", name.c_str());
    CHECK_LE(relative_error(tensors.at("actions"), golden.floats(name + "_actions")), 1e-5);
    if (golden.has(name + "_velocity_0"))
      CHECK_LE(relative_error(tensors.at("v_t_0"), golden.floats(name + "_velocity_0")), 1e-5);
  }
}

TEST(trained_mode_keeps_the_frozen_rows_bit_for_bit) {
  const Session session(fixtures::path("tiny-lerobot"));
  const std::vector<float> previous = Golden("tiny-lerobot/case_two_cameras_rtc.safetensors").floats("prev_chunk");
  Case inputs("tiny-lerobot/case_two_cameras.safetensors");
  pi05_request request = inputs.request();
  request.rtc.mode = PI05_RTC_TRAINED;
  request.rtc.previous = previous.data();
  request.rtc.previous_rows = 7;
  request.rtc.delay = 4;
  const std::vector<float> actions = fixtures::infer(session, request);
  CHECK(std::equal(actions.begin(), actions.begin() + 4 * 32, previous.begin()));
  CHECK(!std::equal(actions.begin() + 4 * 32, actions.begin() + 5 * 32, previous.begin() + 4 * 32));
}

TEST(an_inference_does_not_depend_on_the_rtc_of_the_one_before) {
  const Session session(fixtures::path("tiny-lerobot"));
  const std::vector<float> previous = Golden("tiny-lerobot/case_two_cameras_rtc.safetensors").floats("prev_chunk");
  Case inputs("tiny-lerobot/case_two_cameras.safetensors");
  const std::vector<float> before = fixtures::infer(session, inputs.request());
  pi05_request chunked = inputs.request();
  chunked.rtc = {PI05_RTC_GUIDED, PI05_RTC_LINEAR, previous.data(), 7, 2, 6, 10.0f};
  CHECK(fixtures::infer(session, chunked) != before);
  CHECK(fixtures::infer(session, inputs.request()) == before);
}

RUN_TESTS()
