#include "camera_image.h"

#include <cstddef>
#include <memory>

#include "arguments.h"
#include "pool_worker.h"

namespace pi05::addon {
namespace {

// (height, width, 3)
std::size_t RgbBytes(const pi05_camera_image& image) {
  if (image.width < 1 || image.height < 1) return 0;
  return static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3;
}

}  // namespace

Napi::Value ConvertToRgb8(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Napi::Array borrowed = Napi::Array::New(env);
  const pi05_camera_image image = ToCameraImage(call[0], borrowed);
  Napi::Uint8Array rgb = Napi::Uint8Array::New(env, RgbBytes(image));
  struct Nothing {};
  uint8_t* const out = rgb.Data();
  auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(rgb.As<Napi::Object>()));
  return PoolWorker<Nothing>::Start(
      env, borrowed, [image, out](Nothing&) { return pi05_convert_to_rgb8(&image, out); },
      [kept](Napi::Env, Nothing&) -> Napi::Value { return kept->Value(); });
}

Napi::Value ConvertToRgb8Sync(const Napi::CallbackInfo& call) {
  const pi05_camera_image image = ToCameraImage(call[0], Napi::Array::New(call.Env()));
  Napi::Uint8Array rgb = Napi::Uint8Array::New(call.Env(), RgbBytes(image));
  const pi05_status status = pi05_convert_to_rgb8(&image, rgb.Data());
  if (status != PI05_OK) throw ErrorWithCode(call.Env(), status, pi05_last_error());
  return rgb;
}

}  // namespace pi05::addon
