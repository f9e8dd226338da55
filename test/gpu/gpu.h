// A test's main: skipped, and said to be, where no GPU is.
#pragma once

#include <cstdio>

#include "backend/cuda/cuda_backend.h"
#include "check.h"

#define RUN_GPU_TESTS()                                             \
  int main(int count, char** arguments) {                           \
    std::setvbuf(stdout, nullptr, _IOLBF, 0);                       \
    const auto missing = pi05::cuda_unavailable_reason();           \
    if (!missing) return check::run(count > 1 ? arguments[1] : ""); \
    std::printf("skipped: %s\n", missing->what());                  \
    return 77;                                                      \
  }
