#include "arguments.h"

#include <type_traits>
#include <utility>

#include "job.h"

namespace pi05::addon {
namespace {

[[noreturn]] void ThrowInvalid(Napi::Env env, const std::string& message) {
  throw ErrorWithCode(env, PI05_INVALID_ARGUMENT, message);
}

template <typename Enum, std::size_t N>
Enum ToEnum(Napi::Value value, const std::pair<const char*, Enum> (&names)[N], const char* what) {
  const std::string received = ToString(value, what);
  std::string allowed;
  for (const auto& [name, member] : names) {
    if (received == name) return member;
    allowed += (allowed.empty() ? "" : ", ") + std::string(name);
  }
  ThrowInvalid(value.Env(), "Expected " + std::string(what) + " of " + allowed + ", received " + received);
}

template <typename Element>
constexpr const char* TypedArrayName() {
  if constexpr (std::is_same_v<Element, float>) return "a Float32Array";
  if constexpr (std::is_same_v<Element, int32_t>) return "an Int32Array";
  if constexpr (std::is_same_v<Element, uint8_t>) return "a Uint8Array";
}

template <typename Element>
Element* ToElements(Napi::Value value, napi_typedarray_type type, std::size_t at_least, const char* what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    ThrowInvalid(value.Env(),
                 "Expected " + std::string(TypedArrayName<Element>()) + " for " + what + ", received another type");
  }
  auto array = value.As<Napi::TypedArrayOf<Element>>();
  if (array.ElementLength() < at_least) {
    ThrowInvalid(value.Env(), "Expected " + std::to_string(at_least) + " values for " + what + ", received " +
                                  std::to_string(array.ElementLength()));
  }
  return array.Data();
}

pi05_rtc ToRtc(Napi::Value value, const pi05_info& info, Napi::Array borrowed) {
  pi05_rtc rtc = {};
  if (value.IsUndefined()) return rtc;
  static constexpr std::pair<const char*, pi05_rtc_mode> kModes[] = {{"guided", PI05_RTC_GUIDED},
                                                                     {"trained", PI05_RTC_TRAINED}};
  static constexpr std::pair<const char*, pi05_rtc_schedule> kSchedules[] = {
      {"linear", PI05_RTC_LINEAR}, {"exp", PI05_RTC_EXP}, {"ones", PI05_RTC_ONES}, {"zeros", PI05_RTC_ZEROS}};
  const Napi::Object object = ToObject(value, "rtc");
  rtc.mode = ToEnum(object.Get("mode"), kModes, "rtc.mode");
  rtc.previous_rows = ToInt32(object.Get("previousRows"), "rtc.previousRows");
  if (rtc.previous_rows < 0)
    ThrowInvalid(value.Env(), "Expected rtc.previousRows of at least 0, received " + std::to_string(rtc.previous_rows));
  const Napi::Value previous = object.Get("previous");
  rtc.previous = ToFloats(previous, static_cast<std::size_t>(rtc.previous_rows) * info.action_dim, "rtc.previous");
  borrowed.Set(borrowed.Length(), previous);
  rtc.delay = ToInt32(object.Get("delay"), "rtc.delay");
  if (rtc.mode == PI05_RTC_GUIDED) {
    rtc.schedule = ToEnum(object.Get("schedule"), kSchedules, "rtc.schedule");
    rtc.execution_horizon = ToInt32(object.Get("executionHorizon"), "rtc.executionHorizon");
    rtc.max_weight = object.Get("maxWeight").ToNumber().FloatValue();
  }
  return rtc;
}

}  // namespace

Napi::Object ToObject(Napi::Value value, const char* what) {
  if (!value.IsObject())
    ThrowInvalid(value.Env(), "Expected an object for " + std::string(what) + ", received another type");
  return value.As<Napi::Object>();
}

std::string ToString(Napi::Value value, const char* what) {
  if (!value.IsString())
    ThrowInvalid(value.Env(), "Expected a string for " + std::string(what) + ", received another type");
  return value.As<Napi::String>().Utf8Value();
}

int32_t ToInt32(Napi::Value value, const char* what) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0.5;
  const auto integer = number >= INT32_MIN && number <= INT32_MAX ? static_cast<int32_t>(number) : 0;
  if (integer != number)
    ThrowInvalid(value.Env(), "Expected a whole number for " + std::string(what) + ", received another value");
  return integer;
}

uint8_t* ToBytes(Napi::Value value, std::size_t at_least, const char* what) {
  return ToElements<uint8_t>(value, napi_uint8_array, at_least, what);
}

float* ToFloats(Napi::Value value, std::size_t at_least, const char* what) {
  return ToElements<float>(value, napi_float32_array, at_least, what);
}

pi05_backend ToBackend(Napi::Value value) {
  static constexpr std::pair<const char*, pi05_backend> kBackends[] = {
      {"auto", PI05_BACKEND_AUTO}, {"cpu", PI05_BACKEND_CPU}, {"cuda", PI05_BACKEND_CUDA}};
  return ToEnum(value, kBackends, "backend");
}

pi05_size ToSize(Napi::Value value) {
  static constexpr std::pair<const char*, pi05_size> kSizes[] = {
      {"tiny", PI05_SIZE_TINY}, {"demo", PI05_SIZE_DEMO}, {"full", PI05_SIZE_FULL}};
  return ToEnum(value, kSizes, "size");
}

pi05_image ToImage(Napi::Value value, Napi::Array borrowed) {
  static constexpr std::pair<const char*, pi05_pixels> kEncodings[] = {{"rgb8", PI05_PIXELS_RGB8},
                                                                       {"bgr8", PI05_PIXELS_BGR8},
                                                                       {"rgba8", PI05_PIXELS_RGBA8},
                                                                       {"bgra8", PI05_PIXELS_BGRA8},
                                                                       {"mono8", PI05_PIXELS_MONO8}};
  const Napi::Object object = ToObject(value, "an image");
  pi05_image image = {};
  image.width = ToInt32(object.Get("width"), "an image's width");
  image.height = ToInt32(object.Get("height"), "an image's height");
  image.step = ToInt32(object.Get("step"), "an image's step");
  image.pixels = ToEnum(object.Get("encoding"), kEncodings, "an image's encoding");
  const Napi::Value data = object.Get("data");
  image.data = ToBytes(data, 0, "an image's data");
  image.bytes = static_cast<int64_t>(data.As<Napi::TypedArray>().ByteLength());
  static constexpr uint8_t kEmpty = 0;  // an empty array may have no address, which would mean "no camera"
  if (image.bytes == 0) image.data = &kEmpty;
  borrowed.Set(borrowed.Length(), data);
  return image;
}

InferArguments::InferArguments(Napi::Object object, Napi::Value out, const pi05_info& info) {
  const Napi::Env env = object.Env();
  Napi::Array borrowed = Napi::Array::New(env);

  const Napi::Value slots = object.Get("images");
  if (!slots.IsArray() || slots.As<Napi::Array>().Length() != static_cast<uint32_t>(info.slots)) {
    ThrowInvalid(env,
                 "Expected an array with one image or undefined for each of " + std::to_string(info.slots) + " slots");
  }
  for (uint32_t slot = 0; slot < static_cast<uint32_t>(info.slots); ++slot) {
    const Napi::Value image = slots.As<Napi::Array>().Get(slot);
    images.push_back(image.IsUndefined() ? pi05_image{} : ToImage(image, borrowed));
  }
  request.images = images.data();

  const Napi::Value tokens = object.Get("tokens");
  request.tokens = ToElements<int32_t>(tokens, napi_int32_array, 0, "tokens");
  request.token_count = static_cast<int32_t>(tokens.As<Napi::TypedArray>().ElementLength());
  borrowed.Set(borrowed.Length(), tokens);

  const std::size_t chunk = static_cast<std::size_t>(info.horizon) * static_cast<std::size_t>(info.action_dim);
  const Napi::Value noise = object.Get("noise");
  request.noise = ToFloats(noise, chunk, "noise");
  borrowed.Set(borrowed.Length(), noise);
  if (!out.IsUndefined()) {
    actions = ToFloats(out, chunk, "actions");
    borrowed.Set(borrowed.Length(), out);
  }

  const Napi::Value steps = object.Get("steps");
  request.steps = steps.IsUndefined() ? 0 : ToInt32(steps, "steps");
  request.rtc = ToRtc(object.Get("rtc"), info, borrowed);
  trace = object.Get("trace").ToBoolean();
  references = Napi::Persistent(borrowed.As<Napi::Object>());
}

}  // namespace pi05::addon
