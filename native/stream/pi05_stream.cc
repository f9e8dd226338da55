// Runs inferences that arrive on stdin, one after the other, and writes their actions to stdout. For programs that are
// not Node.js, on machines without ROS and Node.js. protocol.h has the format.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "pi05/pi05.h"
#include "stream/protocol.h"

namespace {

using pi05_stream::Greeting;
using pi05_stream::ImageSize;
using pi05_stream::RequestHeader;
using pi05_stream::Response;

constexpr const char* kUsage = R"(Usage: pi05_stream --checkpoint DIR [options]

Reads requests from stdin and writes their actions to stdout, until the input ends. The format is binary; training/engine.py
is a client for it.
  --backend NAME    auto (default), cpu, cuda
  --precision NAME  bf16 (default), fp8: of the CUDA backend
  --threads N       threads of the CPU backend; 0 = one per core (default)
Errors go to stderr as CODE: sentence. Exit status: 0 the input ended, 1 a damaged request or a failed inference,
2 wrong usage or a checkpoint or backend that cannot be used.
)";

constexpr int kFailed = 1, kWrongUsage = 2;

// Ends the process with `status` and "CODE: sentence" on stderr.
struct StreamError : std::runtime_error {
  StreamError(int status, const std::string& code, const std::string& sentence)
      : std::runtime_error(code + ": " + sentence), status(status) {}
  int status;
};

StreamError usage(const std::string& sentence) {
  return {kWrongUsage, "USAGE", sentence + " (see pi05_stream --help)"};
}
StreamError damaged(const std::string& sentence) { return {kFailed, "INVALID_ARGUMENT", sentence}; }

void require(bool holds, const std::string& sentence) {
  if (!holds) throw damaged(sentence);
}

void require_ok(pi05_status status, int exit_status) {
  if (status != PI05_OK) throw StreamError(exit_status, pi05_status_name(status), pi05_last_error());
}

std::string number(int64_t value) { return std::to_string(value); }

struct Options {
  std::string checkpoint;
  pi05_backend backend = PI05_BACKEND_AUTO;
  pi05_precision precision = PI05_PRECISION_BF16;
  int32_t threads = 0;
};

pi05_backend backend_named(const std::string& name) {
  if (name == "auto") return PI05_BACKEND_AUTO;
  if (name == "cpu") return PI05_BACKEND_CPU;
  if (name == "cuda") return PI05_BACKEND_CUDA;
  throw usage("Expected --backend auto|cpu|cuda, received " + name);
}

pi05_precision precision_named(const std::string& name) {
  if (name == "bf16") return PI05_PRECISION_BF16;
  if (name == "fp8") return PI05_PRECISION_FP8;
  throw usage("Expected --precision bf16|fp8, received " + name);
}

int32_t thread_count(const std::string& text) {
  const int32_t most = pi05_get_limits().max_threads;
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end || value < 0 || value > most)
    throw usage("Expected --threads as an integer from 0 to " + number(most) + ", received " + text);
  return static_cast<int32_t>(value);
}

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    const bool known = name == "--checkpoint" || name == "--backend" || name == "--precision" || name == "--threads";
    if (!known) throw usage("Expected --checkpoint, --backend, --precision or --threads, received " + name);
    if (i + 1 == arguments.size()) throw usage("Expected a value after " + name + ", received none");
    const std::string& value = arguments[i + 1];
    if (name == "--checkpoint") options.checkpoint = value;
    if (name == "--backend") options.backend = backend_named(value);
    if (name == "--precision") options.precision = precision_named(value);
    if (name == "--threads") options.threads = thread_count(value);
  }
  if (options.checkpoint.empty()) throw usage("Expected --checkpoint, received none");
  return options;
}

// Reads exactly `bytes` bytes, or returns false if the input ends before the first of them.
bool read_or_end(void* to, size_t bytes, const char* what) {
  const size_t received = std::fread(to, 1, bytes, stdin);
  if (received == 0 && std::feof(stdin)) return false;
  require(received == bytes, "Expected " + number(static_cast<int64_t>(bytes)) + " bytes of " + what +
                                 " on stdin, received " + number(static_cast<int64_t>(received)));
  return true;
}

void read(void* to, size_t bytes, const char* what) {
  require(bytes == 0 || read_or_end(to, bytes, what),
          "Expected " + number(static_cast<int64_t>(bytes)) + " bytes of " + what + " on stdin, received 0");
}

void write(const void* from, size_t bytes) {
  if (std::fwrite(from, 1, bytes, stdout) != bytes) throw StreamError(kFailed, "INTERNAL", "write (stdout) failed");
}

void flush() {
  if (std::fflush(stdout) != 0) throw StreamError(kFailed, "INTERNAL", "write (stdout) failed");
}

struct CloseSession {
  void operator()(pi05_session* session) const { pi05_close(session); }
};

// One checkpoint, and the buffers of its requests.
class Stream {
 public:
  explicit Stream(const Options& options) {
    const pi05_options open{options.checkpoint.c_str(), options.backend, options.threads, 0, options.precision};
    pi05_session* session = nullptr;
    require_ok(pi05_open(&open, &session), kWrongUsage);
    session_.reset(session);
    require_ok(pi05_get_info(session, &info_), kFailed);
    sizes_.resize(static_cast<size_t>(info_.slots));
    images_.resize(sizes_.size());
    actions_.resize(static_cast<size_t>(info_.horizon * info_.action_dim));
  }

  void greet() const {
    Greeting greeting{{},
                      pi05_stream::kVersion,
                      static_cast<int32_t>(info_.backend),
                      info_.slots,
                      info_.image_size,
                      info_.action_dim,
                      info_.horizon,
                      info_.flow_steps,
                      info_.max_tokens,
                      info_.vocab,
                      info_.rtc_trained_max_delay};
    std::memcpy(greeting.magic, pi05_stream::kGreetingMagic, sizeof greeting.magic);
    write(&greeting, sizeof greeting);
    flush();
  }

  // Answers the next request; false at the end of the input.
  bool answer_next() {
    RequestHeader header{};
    if (!read_or_end(&header, sizeof header, "a request's header")) return false;
    check(header);
    read(sizes_.data(), sizes_.size() * sizeof sizes_[0], "image sizes");
    const size_t bytes = expected_body(header);
    require(header.body_bytes == bytes, "Expected a request's body of " + number(static_cast<int64_t>(bytes)) +
                                            " bytes for its token count and image sizes, received a size of " +
                                            number(header.body_bytes));
    body_.resize(bytes);
    read(body_.data(), bytes, "a request's body");

    const pi05_request request = request_of(header);
    const auto begin = std::chrono::steady_clock::now();
    require_ok(pi05_infer(session_.get(), &request, actions_.data()), kFailed);
    const Response response{std::chrono::duration<float, std::milli>(std::chrono::steady_clock::now() - begin).count()};
    write(&response, sizeof response);
    write(actions_.data(), actions_.size() * sizeof actions_[0]);
    flush();
    return true;
  }

 private:
  // Checks what the size of the body depends on. The engine checks the rest.
  void check(const RequestHeader& header) const {
    require(std::memcmp(header.magic, pi05_stream::kRequestMagic, sizeof header.magic) == 0,
            "Expected REQ1 at the start of a request on stdin, received other bytes");
    require(header.token_count >= 1 && header.token_count <= info_.max_tokens,
            "Expected 1 to " + number(info_.max_tokens) + " prompt tokens, received " + number(header.token_count));
    const bool rtc = header.rtc_mode != PI05_RTC_NONE;
    require(header.previous_rows >= (rtc ? 1 : 0) && header.previous_rows <= (rtc ? info_.horizon : 0),
            "Expected " + (rtc ? "1 to " + number(info_.horizon) : std::string("no")) +
                " rows of the previous chunk, received " + number(header.previous_rows));
  }

  size_t expected_body(const RequestHeader& header) const {
    const int32_t most = pi05_get_limits().max_image_side;
    const int64_t values = header.token_count + (info_.horizon + header.previous_rows) * int64_t{info_.action_dim};
    int64_t bytes = 4 * values;
    for (const ImageSize& size : sizes_) {
      const bool empty = size.width == 0 && size.height == 0;
      require(empty || (size.width >= 1 && size.height >= 1 && size.width <= most && size.height <= most),
              "Expected 1 to " + number(most) + " pixels a side of an image, or 0x0 for none, received " +
                  number(size.width) + "x" + number(size.height));
      bytes += int64_t{3} * size.width * size.height;
    }
    return static_cast<size_t>(bytes);
  }

  // Points into body_ and images_.
  pi05_request request_of(const RequestHeader& header) {
    const auto* tokens = reinterpret_cast<const int32_t*>(body_.data());
    const auto* noise = reinterpret_cast<const float*>(tokens + header.token_count);
    const float* previous = noise + actions_.size();
    const auto* pixels = reinterpret_cast<const uint8_t*>(previous + header.previous_rows * info_.action_dim);
    for (size_t slot = 0; slot < sizes_.size(); slot++) {
      const auto [width, height] = sizes_[slot];
      const int64_t step = int64_t{3} * width, bytes = step * height;
      images_[slot] = {bytes > 0 ? pixels : nullptr, width, height, step, PI05_PIXELS_RGB8, bytes};
      pixels += bytes;
    }
    pi05_request request{};
    request.images = images_.data();
    request.tokens = tokens;
    request.token_count = header.token_count;
    request.noise = noise;
    request.steps = header.steps;
    request.rtc.previous = previous;
    request.rtc.previous_rows = header.previous_rows;
    request.rtc.delay = header.delay;
    request.rtc.execution_horizon = header.execution_horizon;
    request.rtc.max_weight = header.max_weight;
    // Copied as integers: the engine refuses values outside the enumerations.
    std::memcpy(&request.rtc.mode, &header.rtc_mode, sizeof header.rtc_mode);
    std::memcpy(&request.rtc.schedule, &header.rtc_schedule, sizeof header.rtc_schedule);
    return request;
  }

  std::unique_ptr<pi05_session, CloseSession> session_;
  pi05_info info_{};
  std::vector<ImageSize> sizes_;    // (slots)
  std::vector<pi05_image> images_;  // (slots)
  std::vector<char> body_;
  std::vector<float> actions_;  // (horizon, action_dim)
};

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> all(arguments + 1, arguments + count);
  for (const std::string& argument : all)
    if (argument == "--help" || argument == "-h") return std::fputs(kUsage, stdout) < 0;
  try {
    Stream stream(parse(all));
    stream.greet();
    while (stream.answer_next()) {
    }
    return 0;
  } catch (const StreamError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.status;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "OUT_OF_MEMORY: Expected memory for a request, received none\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "INTERNAL: %s\n", error.what());
  }
  return kFailed;
}
