// Checks of the arguments of the C ABI. All throw Error(PI05_INVALID_ARGUMENT) with one sentence.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "pi05/pi05.h"

namespace pi05 {

constexpr int32_t kMaxImageSide = 1 << 16;
constexpr int32_t kMaxThreads = 1024;

void require(bool holds, const std::string& sentence);
void require_range(const char* what, int64_t least, int64_t most, int64_t received);

// Checks size, aspect ratio, encoding, step and bytes of an image that is to be resized to (size, size). The only check
// of image geometry: the addon and TypeScript rely on it. `name` is the image's name in the sentence.
void check_image(const pi05_image& image, int64_t size, const std::string& name);

// Checks a request and converts it for the model: only images with data, steps of 0 replaced. Borrows the request's
// buffers.
Request checked_request(const pi05_request& request, const Checkpoint& checkpoint);

}  // namespace pi05
