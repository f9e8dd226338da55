// The whole model against the reference implementations' own numbers, both families, every case.
#include "check.h"
#include "fixtures.h"

using fixtures::Case;
using fixtures::Session;
using fixtures::Tensors;

namespace {

// Largest error over largest value. Keys are turned by angles that the references compute in fp32.
double tolerance_of(const std::string& name) { return name.compare(0, 8, "prefix_k") == 0 ? 3e-5 : 1e-5; }

void check_tensor(const std::string& label, const std::vector<float>& actual, const std::vector<float>& expected,
                  double tolerance) {
  const double error = fixtures::relative_error(actual, expected);
  std::printf("  %-44s %.1e (at most %.0e)\n", label.c_str(), error, tolerance);
  CHECK(error <= tolerance);
}

void check_case(const std::string& directory, const std::string& name) {
  const Session session(fixtures::path(directory));
  Case golden(directory + "/" + name + ".safetensors");
  std::printf("%s/%s\n", directory.c_str(), name.c_str());

  const Tensors actual = fixtures::infer_traced(session, golden.request());
  size_t compared = 0;
  for (const auto& [tensor, values] : actual) {
    if (!golden.golden.has(tensor)) continue;
    check_tensor(tensor, values, golden.golden.floats(tensor), tolerance_of(tensor));
    compared++;
  }
  const auto cameras = static_cast<size_t>(std::count(golden.mask.begin(), golden.mask.end(), 1));
  CHECK(compared == cameras + 7 + (golden.golden.has("time_cond_0") ? 1u : 0u));

  if (!golden.golden.has("actions_steps_5")) return;
  pi05_request five = golden.request();
  five.steps = 5;
  check_tensor("actions_steps_5", fixtures::infer(session, five), golden.golden.floats("actions_steps_5"), 1e-5);
}

}  // namespace

TEST(openpi_two_cameras_short_prompt) { check_case("tiny-openpi", "case_two_cameras_short_prompt"); }
TEST(openpi_two_cameras_max_prompt) { check_case("tiny-openpi", "case_two_cameras_max_prompt"); }
TEST(openpi_three_cameras) { check_case("tiny-openpi", "case_three_cameras"); }
TEST(openpi_one_camera) { check_case("tiny-openpi", "case_one_camera"); }
TEST(lerobot_two_cameras) { check_case("tiny-lerobot", "case_two_cameras"); }

RUN_TESTS()
