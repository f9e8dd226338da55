// The argument checks of the C ABI and their error sentences.
#include <functional>
#include <limits>

#include "check.h"
#include "fixtures.h"
#include "pi05/make_checkpoint.h"

using fixtures::Case;
using fixtures::Session;

namespace {

const char* kCase = "tiny-openpi/case_one_camera.safetensors";

// Makes a valid request invalid with `change`, and expects an error sentence that contains `part`.
void check_rejected(const Session& session, const char* part, const std::function<void(Case&, pi05_request&)>& change) {
  Case inputs(kCase);
  pi05_request request = inputs.request();
  change(inputs, request);
  std::vector<float> actions(static_cast<size_t>(session.info.horizon * session.info.action_dim), 7.0f);
  const pi05_status status = pi05_infer(session.get(), &request, actions.data());
  const std::string message = pi05_last_error();
  if (status != PI05_INVALID_ARGUMENT || message.find(part) == std::string::npos)
    std::printf("  expected INVALID_ARGUMENT with \"%s\", received %s: %s\n", part, pi05_status_name(status),
                message.c_str());
  CHECK(status == PI05_INVALID_ARGUMENT);
  CHECK(message.find(part) != std::string::npos);
  CHECK(std::all_of(actions.begin(), actions.end(), [](float value) { return value == 7.0f; }));
}

}  // namespace

TEST(rejects_invalid_requests) {
  const Session session(fixtures::path("tiny-openpi"));
  std::vector<float> previous(10 * 32);
  const auto chunked = [&](pi05_rtc_mode mode, int32_t rows, int32_t delay, int32_t horizon, float weight) {
    return pi05_rtc{mode, PI05_RTC_LINEAR, previous.data(), rows, delay, horizon, weight};
  };
  check_rejected(session, "an image in at least one of 3 slots",
                 [](Case& c, pi05_request&) { c.images[0].data = nullptr; });
  check_rejected(session, "Expected images", [](Case&, pi05_request& r) { r.images = nullptr; });
  check_rejected(session, "a step of at least 672 bytes for image 0, received 671",
                 [](Case& c, pi05_request&) { c.images[0].step = 671; });
  check_rejected(session, "224 rows of 672 bytes for image 0, received 150527 bytes",
                 [](Case& c, pi05_request&) { c.images[0].bytes--; });
  check_rejected(session, "received 150528 bytes", [](Case& c, pi05_request&) { c.images[0].step = INT64_MAX; });
  check_rejected(session, "received 0x224", [](Case& c, pi05_request&) { c.images[0].width = 0; });
  check_rejected(session, "received 224x-1", [](Case& c, pi05_request&) { c.images[0].height = -1; });
  check_rejected(session, "an aspect ratio of at most 224:1 for image 0, received 1x225",
                 [](Case& c, pi05_request&) { c.images[0].width = 1, c.images[0].height = 225; });
  check_rejected(session, "an encoding of rgb8, bgr8, rgba8, bgra8 or mono8 for image 0",
                 [](Case& c, pi05_request&) { c.images[0].pixels = static_cast<pi05_pixels>(9); });
  check_rejected(session, "1 to 48 prompt tokens, received 0", [](Case&, pi05_request& r) { r.token_count = 0; });
  check_rejected(session, "1 to 48 prompt tokens, received 49", [](Case&, pi05_request& r) { r.token_count = 49; });
  check_rejected(session, "prompt tokens, received a null pointer", [](Case&, pi05_request& r) { r.tokens = nullptr; });
  check_rejected(session, "0 to 511, received 512 at index 3", [](Case& c, pi05_request&) { c.tokens[3] = 512; });
  check_rejected(session, "0 to 511, received -1 at index 0", [](Case& c, pi05_request&) { c.tokens[0] = -1; });
  check_rejected(session, "Expected noise", [](Case&, pi05_request& r) { r.noise = nullptr; });
  check_rejected(session, "finite values for noise, received NaN at index 5",
                 [](Case& c, pi05_request&) { c.noise[5] = std::numeric_limits<float>::quiet_NaN(); });
  check_rejected(session, "received -1", [](Case&, pi05_request& r) { r.steps = -1; });
  check_rejected(session, "an RTC mode of none, guided or trained",
                 [](Case&, pi05_request& r) { r.rtc.mode = static_cast<pi05_rtc_mode>(3); });
  check_rejected(session, "Expected a previous chunk", [](Case&, pi05_request& r) { r.rtc.mode = PI05_RTC_GUIDED; });
  check_rejected(session, "1 to 10 rows of the previous chunk, received 11",
                 [&](Case&, pi05_request& r) { r.rtc = chunked(PI05_RTC_GUIDED, 11, 0, 5, 5); });
  check_rejected(session, "1 to 10 rows of the previous chunk, received 0",
                 [&](Case&, pi05_request& r) { r.rtc = chunked(PI05_RTC_TRAINED, 0, 0, 5, 5); });
  check_rejected(session, "a delay from 0 to 4, received 5",
                 [&](Case&, pi05_request& r) { r.rtc = chunked(PI05_RTC_TRAINED, 4, 5, 5, 5); });
  check_rejected(session, "a delay from 0 to 4, received -1",
                 [&](Case&, pi05_request& r) { r.rtc = chunked(PI05_RTC_GUIDED, 4, -1, 5, 5); });
  check_rejected(session, "execution horizon of at least 1",
                 [&](Case&, pi05_request& r) { r.rtc = chunked(PI05_RTC_GUIDED, 4, 1, 0, 5); });
  check_rejected(session, "largest guidance weight",
                 [&](Case&, pi05_request& r) { r.rtc = chunked(PI05_RTC_GUIDED, 4, 1, 4, NAN); });
  check_rejected(session, "finite values for the previous chunk", [&](Case&, pi05_request& r) {
    previous[3] = INFINITY;
    r.rtc = chunked(PI05_RTC_GUIDED, 4, 1, 4, 5);
  });
}

// Compares what pi05_get_limits() reports with what the calls accept.
TEST(reports_the_limits_that_it_applies) {
  const pi05_limits limits = pi05_get_limits();
  const Session session(fixtures::path("tiny-openpi"));
  Case inputs(kCase);
  pi05_request request = inputs.request();
  request.steps = limits.max_flow_steps;
  fixtures::infer(session, request);
  const std::string most = std::to_string(limits.max_flow_steps), more = std::to_string(limits.max_flow_steps + 1);
  check_rejected(session, ("1 to " + most + " flow steps, received " + more).c_str(),
                 [&](Case&, pi05_request& r) { r.steps = limits.max_flow_steps + 1; });

  std::vector<uint8_t> row, out;
  const auto resize = [&](int32_t width) {
    const int32_t height = (width + session.info.image_size - 1) / session.info.image_size;
    row.resize(static_cast<size_t>(width) * static_cast<size_t>(height));
    const pi05_image image{row.data(), width, height, width, PI05_PIXELS_MONO8, static_cast<int64_t>(row.size())};
    out.resize(static_cast<size_t>(session.info.image_size * session.info.image_size * 3));
    return pi05_resize_pillow(&image, session.info.image_size, out.data());
  };
  CHECK(resize(limits.max_image_side) == PI05_OK);
  CHECK(resize(limits.max_image_side + 1) == PI05_INVALID_ARGUMENT);
  CHECK(std::string(pi05_last_error()).find("1 to " + std::to_string(limits.max_image_side)) != std::string::npos);

  const std::string directory = fixtures::path("tiny-openpi");
  const pi05_options options{directory.c_str(), PI05_BACKEND_CPU, limits.max_threads + 1, 0, PI05_PRECISION_BF16};
  pi05_session* rejected = nullptr;
  CHECK(pi05_open(&options, &rejected) == PI05_INVALID_ARGUMENT);
  CHECK(std::string(pi05_last_error()).find("to " + std::to_string(limits.max_threads) + ",") != std::string::npos);
}

TEST(accepts_a_valid_request_after_an_invalid_one) {
  const Session session(fixtures::path("tiny-openpi"));
  check_rejected(session, "flow steps", [](Case&, pi05_request& r) { r.steps = pi05_get_limits().max_flow_steps + 1; });
  Case inputs(kCase);
  CHECK_LE(fixtures::relative_error(fixtures::infer(session, inputs.request()), inputs.golden.floats("actions")), 1e-5);
  CHECK(std::string(pi05_last_error()).empty());
}

TEST(rejects_a_second_inference_while_one_runs) {
  const Session session(fixtures::path("tiny-openpi"));
  struct Second {
    const Session& session;
    Case inputs{kCase};
    pi05_status status = PI05_OK;
    std::string message{};
  } second{session};
  Case first(kCase);
  pi05_request request = first.request();
  request.trace_user = &second;
  request.trace = [](void* user, const char*, const float*, const int64_t*, int32_t) {
    Second& s = *static_cast<Second*>(user);
    std::vector<float> actions(10 * 32);
    const pi05_request inner = s.inputs.request();
    s.status = pi05_infer(s.session.get(), &inner, actions.data());
    s.message = pi05_last_error();
  };
  CHECK_LE(fixtures::relative_error(fixtures::infer(session, request), first.golden.floats("actions")), 1e-5);
  CHECK(second.status == PI05_INVALID_ARGUMENT);
  CHECK(second.message == "Expected one inference at a time, received another while one runs");
}

TEST(names_an_unavailable_backend) {
  const std::string directory = fixtures::path("tiny-openpi");
  pi05_session* session = nullptr;
  pi05_options options{directory.c_str(), PI05_BACKEND_AUTO, 1, 0, PI05_PRECISION_BF16};
  fixtures::require_ok(pi05_open(&options, &session));
  pi05_info info{};
  fixtures::require_ok(pi05_get_info(session, &info));
  CHECK(info.backend != PI05_BACKEND_AUTO);
  pi05_close(session);
  options.backend = static_cast<pi05_backend>(3);
  CHECK(pi05_open(&options, &session) == PI05_INVALID_ARGUMENT && session == nullptr);
  options.backend = PI05_BACKEND_CPU;
  options.threads = -1;
  CHECK(pi05_open(&options, &session) == PI05_INVALID_ARGUMENT && session == nullptr);
  // A build without CUDA and a machine without a GPU each have their own sentence. With both, the session opens.
  options.threads = 1;
  options.backend = PI05_BACKEND_CUDA;
  const pi05_status status = pi05_open(&options, &session);
  CHECK(status == PI05_OK ? session != nullptr : status == PI05_BACKEND_UNAVAILABLE && session == nullptr);
  CHECK(status == PI05_OK || std::string(pi05_last_error()).find("cuda backend") != std::string::npos);
  pi05_close(session);
}

TEST(fp8_never_runs_on_the_cpu) {
  const std::string directory = fixtures::path("tiny-openpi");
  pi05_session* session = nullptr;
  pi05_options options{directory.c_str(), PI05_BACKEND_CPU, 1, 0, PI05_PRECISION_FP8};
  CHECK(pi05_open(&options, &session) == PI05_INVALID_ARGUMENT && session == nullptr);
  CHECK(pi05_last_error() == std::string("Expected backend cuda or auto for precision fp8, received cpu"));
  options.backend = PI05_BACKEND_AUTO;  // fails where `auto` chooses the CPU for bf16
  const pi05_status status = pi05_open(&options, &session);
  CHECK(status == PI05_OK || (status == PI05_BACKEND_UNAVAILABLE && session == nullptr));
  pi05_info info{};
  if (session) fixtures::require_ok(pi05_get_info(session, &info));
  CHECK(!session || info.backend == PI05_BACKEND_CUDA);
  pi05_close(session);
  options.precision = static_cast<pi05_precision>(2);
  CHECK(pi05_open(&options, &session) == PI05_INVALID_ARGUMENT && session == nullptr);
}

TEST(rejects_null_pointers) {
  pi05_info info{};
  CHECK(pi05_open(nullptr, nullptr) == PI05_INVALID_ARGUMENT);
  CHECK(pi05_get_info(nullptr, &info) == PI05_INVALID_ARGUMENT);
  CHECK(pi05_infer(nullptr, nullptr, nullptr) == PI05_INVALID_ARGUMENT);
  CHECK(pi05_resize_pillow(nullptr, 224, nullptr) == PI05_INVALID_ARGUMENT);
  CHECK(pi05_resize_lerobot(nullptr, 224, nullptr) == PI05_INVALID_ARGUMENT);
  CHECK(pi05_make_checkpoint(nullptr, PI05_SIZE_TINY, 0) == PI05_INVALID_ARGUMENT);
  pi05_close(nullptr);
}

TEST(names_every_status) {
  CHECK(std::string(pi05_status_name(PI05_OK)) == "OK");
  CHECK(std::string(pi05_status_name(PI05_CHECKPOINT_TENSORS)) == "CHECKPOINT_TENSORS");
  CHECK(std::string(pi05_status_name(PI05_ENGINE_FAILED)) == "ENGINE_FAILED");
}

RUN_TESTS()
