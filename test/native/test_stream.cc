// pi05_stream, run as a process: what it answers, and how it ends when its input is damaged.
#include <sys/wait.h>

#include "check.h"
#include "fixtures.h"
#include "scratch.h"
#include "stream/protocol.h"

using fixtures::Case;
using fixtures::Session;
using pi05_stream::Greeting;
using pi05_stream::ImageSize;
using pi05_stream::RequestHeader;
using pi05_stream::Response;

namespace {

const std::string kCheckpoint = fixtures::path("tiny-openpi");

struct Result {
  int status;               // of the process
  std::string out, errors;  // stdout, stderr
};

std::string quoted(const std::string& path) { return "'" + path + "'"; }

Result run(const std::string& input, const std::string& options) {
  const scratch::Directory files;
  files.write("in", input);
  const std::string command = quoted(PI05_STREAM) + " " + options + " <" + quoted(files.path + "/in") + " >" +
                              quoted(files.path + "/out") + " 2>" + quoted(files.path + "/errors");
  const int status = std::system(command.c_str());
  const auto text = [&](const char* name) {
    std::ifstream file(files.path + "/" + name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text("out"), text("errors")};
}

Result run(const std::string& input) { return run(input, "--checkpoint " + quoted(kCheckpoint) + " --backend cpu"); }

template <typename Value>
void append(std::string& bytes, const Value* values, size_t count) {
  bytes.append(reinterpret_cast<const char*>(values), count * sizeof(Value));
}

// The bytes of a request. `change` may alter the header and the image sizes after the body was made.
using Change = void (*)(RequestHeader&, std::vector<ImageSize>&);

std::string encoded(const pi05_request& request, const pi05_info& info, Change change = nullptr) {
  const bool rtc = request.rtc.mode != PI05_RTC_NONE;
  RequestHeader header{};
  std::memcpy(header.magic, pi05_stream::kRequestMagic, 4);
  header.steps = request.steps;
  header.token_count = request.token_count;
  header.rtc_mode = request.rtc.mode, header.rtc_schedule = request.rtc.schedule;
  header.previous_rows = rtc ? request.rtc.previous_rows : 0, header.delay = request.rtc.delay;
  header.execution_horizon = request.rtc.execution_horizon, header.max_weight = request.rtc.max_weight;

  std::vector<ImageSize> sizes;
  std::string body;
  append(body, request.tokens, static_cast<size_t>(request.token_count));
  append(body, request.noise, static_cast<size_t>(info.horizon * info.action_dim));
  append(body, request.rtc.previous, static_cast<size_t>(header.previous_rows * info.action_dim));
  for (int slot = 0; slot < info.slots; slot++) {
    const pi05_image& image = request.images[slot];
    sizes.push_back(image.data ? ImageSize{image.width, image.height} : ImageSize{0, 0});
    append(body, image.data, static_cast<size_t>(image.data ? image.bytes : 0));
  }
  header.body_bytes = static_cast<uint32_t>(body.size());
  if (change) change(header, sizes);
  std::string bytes;
  append(bytes, &header, 1);
  append(bytes, sizes.data(), sizes.size());
  return bytes + body;
}

// The actions of each answer; the greeting is checked.
std::vector<std::vector<float>> decoded(const std::string& out, const pi05_info& info) {
  const size_t count = static_cast<size_t>(info.horizon * info.action_dim), answer = sizeof(Response) + 4 * count;
  Greeting greeting{};
  CHECK(out.size() >= sizeof greeting && (out.size() - sizeof greeting) % answer == 0);
  std::memcpy(&greeting, out.data(), std::min(out.size(), sizeof greeting));
  CHECK(std::memcmp(greeting.magic, pi05_stream::kGreetingMagic, 4) == 0 && greeting.version == 1);
  CHECK(greeting.backend == PI05_BACKEND_CPU && greeting.slots == info.slots && greeting.vocab == info.vocab);
  CHECK(greeting.horizon == info.horizon && greeting.action_dim == info.action_dim);
  CHECK(greeting.image_size == info.image_size && greeting.max_tokens == info.max_tokens);
  std::vector<std::vector<float>> all;
  for (size_t at = sizeof greeting; at + answer <= out.size(); at += answer) {
    all.emplace_back(count);
    std::memcpy(all.back().data(), out.data() + at + sizeof(Response), 4 * count);
  }
  return all;
}

// Whether the process ends with status 1 and a sentence that contains `text`.
bool refused(const Result& result, const std::string& code, const std::string& text) {
  std::printf("       %s", result.errors.c_str());
  return result.status == 1 && result.errors.find(code + ": Expected ") == 0 &&
         result.errors.find(text) != std::string::npos &&
         std::count(result.errors.begin(), result.errors.end(), '\n') == 1;
}

}  // namespace

TEST(answers_each_request_with_the_bits_of_the_library) {
  const Session session(kCheckpoint);
  std::string input;
  std::vector<std::vector<float>> expected;
  const auto add = [&](const pi05_request& request) {
    input += encoded(request, session.info);
    expected.push_back(fixtures::infer(session, request));
  };
  for (const char* name : {"case_two_cameras_short_prompt", "case_two_cameras_max_prompt", "case_three_cameras"}) {
    Case golden(std::string("tiny-openpi/") + name + ".safetensors");
    pi05_request request = golden.request();
    add(request);
    request.steps = 5;
    add(request);
    const std::vector<float> previous(golden.noise.rbegin(), golden.noise.rend());
    request.rtc = {PI05_RTC_TRAINED, PI05_RTC_LINEAR, previous.data(), 4, 3, 0, 0};
    add(request);
    request.rtc = {PI05_RTC_GUIDED, PI05_RTC_EXP, previous.data(), session.info.horizon, 2, 6, 5.0f};
    add(request);
  }
  const Result result = run(input);
  CHECK(result.status == 0 && result.errors.empty());
  CHECK(decoded(result.out, session.info) == expected);
}

TEST(takes_images_of_any_size) {
  const Session session(kCheckpoint);
  Case golden("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  pi05_request request = golden.request();
  std::string input;
  std::vector<std::vector<float>> expected;
  for (const int32_t width : {1, 97, 224}) {
    golden.images[0] = {golden.pixels[0].data(), width, 60, 3 * width, PI05_PIXELS_RGB8, 180 * width};
    request.images = golden.images.data();
    input += encoded(request, session.info);
    expected.push_back(fixtures::infer(session, request));
  }
  CHECK(decoded(run(input).out, session.info) == expected);
}

TEST(ends_with_status_0_when_the_input_ends_between_two_requests) {
  const Result result = run("");
  CHECK(result.status == 0 && result.errors.empty() && result.out.size() == sizeof(Greeting));
}

TEST(single_threaded_processes_that_run_at_the_same_time_give_the_same_bits) {
  const Session session(kCheckpoint);
  Case golden("tiny-openpi/case_three_cameras.safetensors");
  const std::vector<float> expected = fixtures::infer(session, golden.request());
  const scratch::Directory files;
  files.write("in", encoded(golden.request(), session.info));
  std::string command;
  for (int i = 0; i < 8; i++)
    command += quoted(PI05_STREAM) + " --checkpoint " + quoted(kCheckpoint) + " --backend cpu --threads 1 <" +
               quoted(files.path + "/in") + " >" + quoted(files.path + "/out" + std::to_string(i)) + " & ";
  CHECK(std::system((command + "wait").c_str()) == 0);
  for (int i = 0; i < 8; i++)
    CHECK(decoded(scratch::text_of(files.path + "/out" + std::to_string(i)), session.info) ==
          std::vector<std::vector<float>>{expected});
}

TEST(damaged_input_ends_the_process_with_status_1_and_a_code) {
  const Session session(kCheckpoint);
  Case golden("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  const pi05_request request = golden.request();
  const std::string whole = encoded(request, session.info);
  const auto invalid = [&](const std::string& input, const std::string& text) {
    return refused(run(input), "INVALID_ARGUMENT", text);
  };
  const auto changed = [&](Change change) { return encoded(request, session.info, change); };
  CHECK(invalid("hello" + whole, "REQ1 at the start of a request"));
  CHECK(invalid(whole.substr(0, 7), "40 bytes of a request's header on stdin, received 7"));
  CHECK(invalid(whole.substr(0, 40), "24 bytes of image sizes on stdin, received 0"));
  CHECK(invalid(whole.substr(0, 100), "a request's body on stdin, received 36"));
  CHECK(invalid(whole.substr(0, whole.size() - 1), "a request's body on stdin, received"));
  CHECK(invalid(whole + whole.substr(0, 50), "image sizes on stdin, received 10"));
  CHECK(invalid(changed([](auto& header, auto&) { header.body_bytes++; }), "received a size of"));
  CHECK(invalid(changed([](auto& header, auto&) { header.token_count = 0; }), "prompt tokens, received 0"));
  CHECK(invalid(changed([](auto& header, auto&) { header.token_count = INT32_MAX; }), "received 2147483647"));
  CHECK(invalid(changed([](auto& header, auto&) { header.previous_rows = 1; }), "no rows of the previous chunk"));
  CHECK(invalid(changed([](auto& header, auto&) { header.rtc_mode = 9; }), "rows of the previous chunk, received 0"));
  CHECK(invalid(changed([](auto& header, auto&) { header.steps = -1; }), "flow steps, received -1"));
  CHECK(invalid(changed([](auto&, auto& sizes) { sizes[0].width = -1; }), "pixels a side"));
  CHECK(invalid(changed([](auto&, auto& sizes) { sizes[0].height = 0; }), "received 224x0"));
  CHECK(invalid(changed([](auto&, auto& sizes) { sizes[0].height = 70000; }), "received 224x70000"));
}

TEST(a_request_that_the_engine_refuses_ends_the_process_with_its_sentence) {
  const Session session(kCheckpoint);
  Case golden("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  golden.tokens[0] = 1 << 20;
  const Result result = run(encoded(golden.request(), session.info));
  CHECK(refused(result, "INVALID_ARGUMENT", "token ids from 0 to"));
  CHECK(result.out.size() == sizeof(Greeting));
}

TEST(wrong_usage_and_a_checkpoint_that_cannot_be_opened_end_with_status_2) {
  const auto wrong = [](const std::string& options, const std::string& text) {
    const Result result = run("", options);
    std::printf("       %s", result.errors.c_str());
    return result.status == 2 && result.out.empty() && result.errors.find(text) == 0;
  };
  CHECK(wrong("", "USAGE: Expected --checkpoint, received none"));
  CHECK(wrong("--checkpoint", "USAGE: Expected a value after --checkpoint"));
  CHECK(wrong("--model x", "USAGE: Expected --checkpoint, --backend, --precision or --threads, received --model"));
  CHECK(wrong("--checkpoint x --backend gpu", "USAGE: Expected --backend auto|cpu|cuda, received gpu"));
  CHECK(wrong("--checkpoint x --precision int8", "USAGE: Expected --precision bf16|fp8, received int8"));
  CHECK(wrong("--checkpoint x --threads 2x", "USAGE: Expected --threads as an integer"));
  CHECK(wrong("--checkpoint /nowhere", "CHECKPOINT_MISSING: Expected a checkpoint directory"));
}

RUN_TESTS()
