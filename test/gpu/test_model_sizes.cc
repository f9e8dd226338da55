// Which model sizes the CUDA backend supports. Needs no GPU.
#include "backend/cuda/cuda_backend.h"
#include "check.h"
#include "checkpoint/make_checkpoint.h"

using pi05::Dimensions;

namespace {

// Whether a full-size model with this change is refused, with a sentence that names the size.
bool refused(void (*change)(Dimensions&), const char* about) {
  Dimensions dims;
  change(dims);
  const auto reason = pi05::unsupported_model_reason(dims);
  if (!reason) return false;
  std::printf("       %s\n", reason->what());
  return reason->status() == PI05_BACKEND_UNAVAILABLE && std::string(reason->what()).find(about) != std::string::npos;
}

}  // namespace

TEST(the_projects_own_model_sizes_are_supported) {
  for (const pi05_size size : {PI05_SIZE_TINY, PI05_SIZE_DEMO, PI05_SIZE_FULL})
    CHECK(!pi05::unsupported_model_reason(pi05::dimensions_of(size)));
}

TEST(unsupported_sizes_are_refused_by_name) {
  CHECK(refused([](Dimensions& d) { d.vision.hidden = 4800; }, "vision.hidden"));
  CHECK(refused([](Dimensions& d) { d.prefix.width = 2050; }, "prefix.width"));
  CHECK(refused([](Dimensions& d) { d.expert.width = 8192; }, "expert.width"));
  CHECK(refused([](Dimensions& d) { d.vision.heads = 32; }, "vision.hidden / vision.heads"));
  CHECK(refused([](Dimensions& d) { d.prefix.head_dim = 320; }, "prefix.head_dim"));
  CHECK(refused([](Dimensions& d) { d.prefix.heads = 31; }, "in prefix"));
  CHECK(refused([](Dimensions& d) { d.expert.heads = 31; }, "in expert"));
}

TEST(sizes_that_fp8_does_not_support_are_refused_by_name) {
  for (const pi05_size size : {PI05_SIZE_TINY, PI05_SIZE_DEMO, PI05_SIZE_FULL})
    CHECK(!pi05::unsupported_fp8_model_reason(pi05::dimensions_of(size)));
  Dimensions narrow, long_rows;
  narrow.prefix.width = 2040, long_rows.prefix.mlp = 16400;
  const auto width = pi05::unsupported_fp8_model_reason(narrow), mlp = pi05::unsupported_fp8_model_reason(long_rows);
  CHECK(width && width->what() == std::string("Expected prefix.width a multiple of 16 and at most 16384 for precision "
                                              "fp8, received 2040 (use bf16)"));
  CHECK(mlp && mlp->what() == std::string("Expected prefix.mlp a multiple of 16 and at most 16384 for precision fp8, "
                                          "received 16400 (use bf16)"));
}

RUN_TESTS()
