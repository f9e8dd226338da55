// From JS values to the C ABI's plain ones. Types are checked here, and lengths that the C ABI has no field for; what
// the values may be is checked in session/request.cc. Throws Napi::Error.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pi05/pi05.h"

namespace pi05::addon {

Napi::Object ToObject(Napi::Value value, const char* what);
std::string ToString(Napi::Value value, const char* what);
int32_t ToInt32(Napi::Value value, const char* what);

uint8_t* ToBytes(Napi::Value value, std::size_t at_least, const char* what);
float* ToFloats(Napi::Value value, std::size_t at_least, const char* what);

pi05_backend ToBackend(Napi::Value value);
pi05_size ToSize(Napi::Value value);

// Borrows the pixels, whose owner is appended to `owners`.
pi05_image ToImage(Napi::Value value, Napi::Array owners);

// One inference's arguments. Everything is borrowed from JS and kept alive by `held`, whose end must come on the JS
// thread. `request` points into the object itself, which therefore stays where it is.
struct InferArguments {
  InferArguments(Napi::Object request, Napi::Value actions, const pi05_info& info);
  InferArguments(const InferArguments&) = delete;
  InferArguments& operator=(const InferArguments&) = delete;

  std::vector<pi05_image> images;  // (slots)
  pi05_request request = {};
  float* actions;  // out, (horizon, action_dim)
  bool trace;
  Napi::ObjectReference held;
};

}  // namespace pi05::addon
