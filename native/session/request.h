// Checks on what callers of the C ABI pass in. Each throws Error(PI05_INVALID_ARGUMENT) with one sentence.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "pi05/pi05.h"

namespace pi05 {

void require(bool holds, const std::string& sentence);
void require_range(const char* what, int64_t least, int64_t most, int64_t received);

// That the image can be read, within its rows, and be resized to a square of `size`. Its data must hold height * step
// bytes.
void check_image(const pi05_image& image, int64_t size, const std::string& name);

// The request for this checkpoint: cameras that are there, steps filled in. Borrows the request's buffers.
Request checked_request(const pi05_request& request, const Checkpoint& checkpoint);

}  // namespace pi05
