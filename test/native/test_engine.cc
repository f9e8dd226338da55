// The whole model against the values of the reference implementations: both families, all cases.
#include "check.h"
#include "fixtures.h"

using fixtures::Case;
using fixtures::Session;
using fixtures::Tensors;

namespace {

// For relative_error(). Larger for keys, because the references compute the RoPE angles in fp32.
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

TEST(results_do_not_depend_on_the_number_of_threads) {
  for (const std::string directory : {"tiny-openpi", "tiny-lerobot"}) {
    const std::string name = directory == "tiny-openpi" ? "/case_three_cameras" : "/case_two_cameras";
    Case inputs(directory + name + ".safetensors");
    const Session one(fixtures::path(directory), 1);
    const Tensors expected = fixtures::infer_traced(one, inputs.request());
    for (const int threads : {2, 3, 5}) {
      const Session session(fixtures::path(directory), threads);
      CHECK(fixtures::infer_traced(session, inputs.request()) == expected);
    }
  }
}

TEST(an_inference_does_not_depend_on_earlier_ones) {
  const Session session(fixtures::path("tiny-openpi"));
  Case one("tiny-openpi/case_one_camera.safetensors"), three("tiny-openpi/case_three_cameras.safetensors");
  const Tensors expected = fixtures::infer_traced(session, one.request());
  pi05_request other = three.request();
  other.steps = 3;
  fixtures::infer(session, other);
  CHECK(fixtures::infer_traced(session, one.request()) == expected);
}

// In the golden cases masked slots have images. Here they have none: an empty slot takes no position in the prefix,
// whichever slot it is.
TEST(a_slot_without_an_image_is_left_out) {
  const Session session(fixtures::path("tiny-openpi"));
  Case inputs("tiny-openpi/case_one_camera.safetensors");
  const std::vector<float> expected = fixtures::infer(session, inputs.request());
  for (const size_t slot : {1u, 2u}) {
    pi05_request request = inputs.request();
    inputs.images[slot] = inputs.images[0];
    inputs.images[0].data = nullptr;
    CHECK(fixtures::infer(session, request) == expected);
  }
}

TEST(every_input_changes_the_actions) {
  const Session session(fixtures::path("tiny-openpi"));
  Case inputs("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  const std::vector<float> expected = fixtures::infer(session, inputs.request());
  const auto check_changes = [&](const char* what) {
    double change = 0;
    const std::vector<float> actions = fixtures::infer(session, inputs.request());
    for (size_t i = 0; i < actions.size(); i++)
      change = std::max(change, std::abs(double{actions[i]} - double{expected[i]}));
    std::printf("  %-10s changes actions by %.1e (more than 1e-3)\n", what, change);
    CHECK(change > 1e-3);
  };
  for (size_t slot = 0; slot < 2; slot++) {
    const std::vector<uint8_t> kept = inputs.pixels[slot];
    std::reverse(inputs.pixels[slot].begin(), inputs.pixels[slot].end());
    check_changes(slot == 0 ? "image 0" : "image 1");
    inputs.pixels[slot] = kept;
  }
  inputs.tokens.back() ^= 1;
  check_changes("last token");
  inputs.tokens.back() ^= 1;
  inputs.noise[100] += 0.1f;
  check_changes("noise");
}

RUN_TESTS()
