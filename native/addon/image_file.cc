#include "image_file.h"

#include "arguments.h"
#include "pi05/image_file.h"
#include "pool_worker.h"

namespace pi05::addon {

Napi::Value CheckImageFile(const Napi::CallbackInfo& call) {
  Napi::Array borrowed = Napi::Array::New(call.Env());
  const Bytes file = ToBytes(call[0], "a file", borrowed);
  return PoolWorker<pi05_image_file>::Start(
      call.Env(), borrowed, [file](pi05_image_file& out) { return pi05_check_image_file(file.data, file.count, &out); },
      [](Napi::Env env, pi05_image_file& out) -> Napi::Value {
        Napi::Object object = Napi::Object::New(env);
        object["width"] = out.width;
        object["height"] = out.height;
        object["damage"] = out.damage;
        return object;
      });
}

}  // namespace pi05::addon
