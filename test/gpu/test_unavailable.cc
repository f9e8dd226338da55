// cuda_unavailable STATUS TEXT: on a machine whose driver cannot run inferences, opening a session fails with this
// status and a sentence that contains TEXT; with `auto` the CPU is used and the sentence is the reason, except for
// precision fp8. CTest sets LD_LIBRARY_PATH to the fake driver.
#include "check.h"
#include "fixtures.h"

namespace {

const std::string kTiny = fixtures::path("tiny-openpi");
std::string expected_status, expected_text;

TEST(cuda_fails_with_a_reason_and_auto_takes_the_cpu_for_that_reason) {
  const pi05_options options{kTiny.c_str(), PI05_BACKEND_CUDA, 1, 0, PI05_PRECISION_BF16};
  pi05_session* session = nullptr;
  const std::string status = pi05_status_name(pi05_open(&options, &session)), text = pi05_last_error();
  std::printf("       %s: %s\n", status.c_str(), text.c_str());
  CHECK(session == nullptr);
  CHECK(status == expected_status);
  CHECK(text.find(expected_text) != std::string::npos);

  const fixtures::Session automatic(kTiny, 1, PI05_BACKEND_AUTO);
  CHECK(automatic.info.backend == PI05_BACKEND_CPU);
  CHECK(automatic.info.backend_reason == text);
  const pi05_options fp8{kTiny.c_str(), PI05_BACKEND_AUTO, 1, 0, PI05_PRECISION_FP8};
  CHECK(pi05_status_name(pi05_open(&fp8, &session)) == expected_status && session == nullptr);
  CHECK(pi05_last_error() == text + "; precision fp8 is not available on the CPU");
  const fixtures::Session cpu(kTiny, 1, PI05_BACKEND_CPU);
  CHECK(std::string(cpu.info.backend_reason).empty());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  expected_status = arguments[1], expected_text = arguments[2];
  return check::run();
}
