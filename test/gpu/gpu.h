// The main function of GPU tests: without a usable GPU they exit with 77, which CTest reports as skipped.
#pragma once

#include <cstdio>

#include "backend/cuda/cuda_backend.h"
#include "check.h"

#define RUN_GPU_TESTS()                                            \
  int main(int count, char** arguments) {                          \
    std::setvbuf(stdout, nullptr, _IOLBF, 0);                      \
    const auto reason = pi05::cuda_unavailable_reason();           \
    if (!reason) return check::run(count > 1 ? arguments[1] : ""); \
    std::printf("skipped: %s\n", reason->what());                  \
    return 77;                                                     \
  }
