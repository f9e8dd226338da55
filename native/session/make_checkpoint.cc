#include "pi05/make_checkpoint.h"

#include "checkpoint/make_checkpoint.h"
#include "session/guarded.h"
#include "session/request.h"

extern "C" pi05_status pi05_make_checkpoint(const char* directory, pi05_size size, uint64_t seed) {
  return pi05::guarded([&] {
    pi05::require(directory, "Expected a directory, received a null pointer");
    pi05::require_range("a checkpoint size", PI05_SIZE_TINY, PI05_SIZE_FULL, size);
    pi05::make_checkpoint(directory, pi05::dimensions_of(size), seed);
  });
}
