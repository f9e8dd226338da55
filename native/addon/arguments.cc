#include "arguments.h"

#include <algorithm>
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
Napi::TypedArrayOf<Element> ToTypedArray(Napi::Value value, napi_typedarray_type type, const std::string& name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    ThrowInvalid(value.Env(),
                 "Expected " + std::string(TypedArrayName<Element>()) + " for " + name + ", received another type");
  }
  return value.As<Napi::TypedArrayOf<Element>>();
}

template <typename Element>
Element* ToElements(Napi::Value value, napi_typedarray_type type, std::size_t count, const std::string& name) {
  Napi::TypedArrayOf<Element> array = ToTypedArray<Element>(value, type, name);
  if (array.ElementLength() != count) {
    ThrowInvalid(value.Env(), "Expected " + std::to_string(count) + " values for " + name + ", received " +
                                  std::to_string(array.ElementLength()));
  }
  return array.Data();
}

// The elements of a (rows, cols) array.
float* ToMatrix(Napi::Value value, int32_t rows, int32_t cols, const std::string& name) {
  const std::string shape = " [" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
  return ToElements<float>(value, napi_float32_array, static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols),
                           name + shape);
}

float ToFloat(Napi::Value value, const char* what) {
  if (!value.IsNumber())
    ThrowInvalid(value.Env(), "Expected a number for " + std::string(what) + ", received another type");
  return value.As<Napi::Number>().FloatValue();
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
  const Napi::Value previous = object.Get("previous");
  // The engine rejects a number of rows outside 1 to horizon before it reads `previous`.
  static constexpr float kUnread = 0;
  const bool rows_valid = rtc.previous_rows >= 1 && rtc.previous_rows <= info.horizon;
  rtc.previous = rows_valid ? ToMatrix(previous, rtc.previous_rows, info.action_dim, "the previous chunk") : &kUnread;
  borrowed.Set(borrowed.Length(), previous);
  rtc.delay = ToInt32(object.Get("delay"), "rtc.delay");
  if (rtc.mode == PI05_RTC_TRAINED) return rtc;
  for (const char* key : {"schedule", "executionHorizon", "maxWeight"})
    if (object.Get(key).IsUndefined()) {
      ThrowInvalid(value.Env(),
                   "Expected schedule, executionHorizon and maxWeight for guided real-time chunking, received no " +
                       std::string(key));
    }
  rtc.schedule = ToEnum(object.Get("schedule"), kSchedules, "rtc.schedule");
  rtc.execution_horizon = ToInt32(object.Get("executionHorizon"), "rtc.executionHorizon");
  rtc.max_weight = ToFloat(object.Get("maxWeight"), "rtc.maxWeight");
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
    ThrowInvalid(value.Env(), "Expected a whole number for " + std::string(what) + ", received " +
                                  (value.IsNumber() ? value.ToString().Utf8Value() : "another type"));
  return integer;
}

uint8_t* ToBytes(Napi::Value value, std::size_t count, const char* what) {
  return ToElements<uint8_t>(value, napi_uint8_array, count, what);
}

float* ToFloats(Napi::Value value, std::size_t count, const char* what) {
  return ToElements<float>(value, napi_float32_array, count, what);
}

Bytes ToBytes(Napi::Value value, const char* what, Napi::Array borrowed) {
  Napi::Uint8Array array = ToTypedArray<uint8_t>(value, napi_uint8_array, what);
  borrowed.Set(borrowed.Length(), value);
  static constexpr uint8_t kEmpty = 0;  // an empty array may have no address, which would mean "no camera"
  if (array.ByteLength() == 0) return {&kEmpty, 0};
  return {array.Data(), static_cast<int64_t>(array.ByteLength())};
}

pi05_backend ToBackend(Napi::Value value) {
  static constexpr std::pair<const char*, pi05_backend> kBackends[] = {
      {"auto", PI05_BACKEND_AUTO}, {"cpu", PI05_BACKEND_CPU}, {"cuda", PI05_BACKEND_CUDA}};
  return ToEnum(value, kBackends, "backend");
}

pi05_precision ToPrecision(Napi::Value value) {
  static constexpr std::pair<const char*, pi05_precision> kPrecisions[] = {{"bf16", PI05_PRECISION_BF16},
                                                                           {"fp8", PI05_PRECISION_FP8}};
  return ToEnum(value, kPrecisions, "precision");
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
  const Bytes bytes = ToBytes(object.Get("data"), "an image's data", borrowed);
  image.data = bytes.data;
  image.bytes = bytes.count;
  return image;
}

pi05_camera_image ToCameraImage(Napi::Value value, Napi::Array borrowed) {
  static constexpr std::pair<const char*, pi05_layout> kLayouts[] = {{"uyvy", PI05_LAYOUT_UYVY},
                                                                     {"yuv422", PI05_LAYOUT_UYVY},
                                                                     {"yuyv", PI05_LAYOUT_YUYV},
                                                                     {"yuv422_yuy2", PI05_LAYOUT_YUYV},
                                                                     {"nv12", PI05_LAYOUT_NV12},
                                                                     {"nv21", PI05_LAYOUT_NV21},
                                                                     {"bayer_rggb8", PI05_LAYOUT_BAYER_RGGB8},
                                                                     {"bayer_bggr8", PI05_LAYOUT_BAYER_BGGR8},
                                                                     {"bayer_gbrg8", PI05_LAYOUT_BAYER_GBRG8},
                                                                     {"bayer_grbg8", PI05_LAYOUT_BAYER_GRBG8},
                                                                     {"rgb16", PI05_LAYOUT_RGB16},
                                                                     {"bgr16", PI05_LAYOUT_BGR16},
                                                                     {"rgba16", PI05_LAYOUT_RGBA16},
                                                                     {"bgra16", PI05_LAYOUT_BGRA16}};
  const Napi::Object object = ToObject(value, "an image");
  pi05_camera_image image = {};
  image.width = ToInt32(object.Get("width"), "an image's width");
  image.height = ToInt32(object.Get("height"), "an image's height");
  image.step = ToInt32(object.Get("step"), "an image's step");
  image.layout = ToEnum(object.Get("encoding"), kLayouts, "an image's encoding");
  image.big_endian = object.Get("bigEndian").ToBoolean() ? 1 : 0;
  const Bytes bytes = ToBytes(object.Get("data"), "an image's data", borrowed);
  image.data = bytes.data;
  image.bytes = bytes.count;
  return image;
}

InferArguments::InferArguments(Napi::Object object, Napi::Value out, const pi05_info& info) {
  const Napi::Env env = object.Env();
  Napi::Array borrowed = Napi::Array::New(env);

  if (!object.Get("images").IsArray()) ThrowInvalid(env, "Expected an array for images, received another type");
  const Napi::Array slots = object.Get("images").As<Napi::Array>();
  if (slots.Length() != static_cast<uint32_t>(info.slots)) {
    ThrowInvalid(env, "Expected " + std::to_string(info.slots) +
                          " image slots (undefined where there is no camera), received " +
                          std::to_string(slots.Length()));
  }
  for (uint32_t slot = 0; slot < slots.Length(); ++slot) {
    const Napi::Value image = slots.Get(slot);
    images.push_back(image.IsUndefined() ? pi05_image{} : ToImage(image, borrowed));
  }
  request.images = images.data();

  Napi::Int32Array tokens = ToTypedArray<int32_t>(object.Get("tokens"), napi_int32_array, "tokens");
  request.tokens = tokens.Data();
  request.token_count = static_cast<int32_t>(std::min<std::size_t>(tokens.ElementLength(), INT32_MAX));
  borrowed.Set(borrowed.Length(), tokens);

  const Napi::Value noise = object.Get("noise");
  request.noise = ToMatrix(noise, info.horizon, info.action_dim, "noise");
  borrowed.Set(borrowed.Length(), noise);
  if (!out.IsUndefined()) {
    actions = ToMatrix(out, info.horizon, info.action_dim, "actions");
    borrowed.Set(borrowed.Length(), out);
  }

  // In the C ABI 0 means the checkpoint's number of steps. In JS that is an absent value, so 0 is rejected here.
  const Napi::Value steps = object.Get("steps");
  if (!steps.IsUndefined()) {
    request.steps = ToInt32(steps, "steps");
    if (request.steps < 1)
      ThrowInvalid(env, "Expected at least 1 flow step, received " + std::to_string(request.steps));
  }
  request.rtc = ToRtc(object.Get("rtc"), info, borrowed);
  trace = object.Get("trace").ToBoolean();
  references = Napi::Persistent(borrowed.As<Napi::Object>());
}

}  // namespace pi05::addon
