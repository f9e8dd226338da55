// Converts JS values to the C types of pi05.h. Checks only what the C ABI cannot check: types, missing members, and the
// lengths of arrays that it has no member for. session/request.cc checks the values. Throws Napi::Error.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pi05/camera_image.h"
#include "pi05/make_checkpoint.h"
#include "pi05/pi05.h"

namespace pi05::addon {

// `what` is the name of the value in the error sentence.
Napi::Object ToObject(Napi::Value value, const char* what);
std::string ToString(Napi::Value value, const char* what);
int32_t ToInt32(Napi::Value value, const char* what);

// The elements of a typed array with exactly `count` of them.
uint8_t* ToBytes(Napi::Value value, std::size_t count, const char* what);
float* ToFloats(Napi::Value value, std::size_t count, const char* what);

// All elements of a Uint8Array, which is appended to `borrowed`. `data` is not null.
struct Bytes {
  const uint8_t* data;
  int64_t count;
};
Bytes ToBytes(Napi::Value value, const char* what, Napi::Array borrowed);

pi05_backend ToBackend(Napi::Value value);
pi05_precision ToPrecision(Napi::Value value);
pi05_size ToSize(Napi::Value value);

// The image borrows the pixels of a typed array, which is appended to `borrowed`.
pi05_image ToImage(Napi::Value value, Napi::Array borrowed);

// The same for an image of a camera's layout.
pi05_camera_image ToCameraImage(Napi::Value value, Napi::Array borrowed);

// The arguments of one inference. All buffers are borrowed from JS and kept alive by `references`, which must be
// released on the JS thread. `request` points into this object, so it cannot be copied or moved.
struct InferArguments {
  InferArguments(Napi::Object request, Napi::Value actions, const pi05_info& info);
  InferArguments(const InferArguments&) = delete;
  InferArguments& operator=(const InferArguments&) = delete;

  std::vector<pi05_image> images;  // (slots)
  pi05_request request = {};
  float* actions = nullptr;  // out, (horizon, action_dim); null for prepare()
  bool trace = false;
  Napi::ObjectReference references;
};

}  // namespace pi05::addon
