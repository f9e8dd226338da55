#include "fingerprint.h"

#include "arguments.h"
#include "job.h"
#include "pi05/fingerprint.h"
#include "pool_worker.h"

namespace pi05::addon {
namespace {

Napi::Value ToObject(Napi::Env env, const pi05_fingerprint& fingerprint) {
  Napi::Object object = Napi::Object::New(env);
  object["hash"] = Napi::BigInt::New(env, fingerprint.hash);
  object["uniform"] = Napi::Boolean::New(env, fingerprint.uniform != 0);
  return object;
}

}  // namespace

Napi::Value Fingerprint(const Napi::CallbackInfo& call) {
  Napi::Array borrowed = Napi::Array::New(call.Env());
  const pi05_image image = ToImage(call[0], borrowed);
  return PoolWorker<pi05_fingerprint>::Start(
      call.Env(), borrowed, [image](pi05_fingerprint& out) { return pi05_get_fingerprint(&image, &out); },
      [](Napi::Env env, pi05_fingerprint& out) { return ToObject(env, out); });
}

Napi::Value FingerprintSync(const Napi::CallbackInfo& call) {
  const pi05_image image = ToImage(call[0], Napi::Array::New(call.Env()));
  pi05_fingerprint fingerprint = {};
  const pi05_status status = pi05_get_fingerprint(&image, &fingerprint);
  if (status != PI05_OK) throw ErrorWithCode(call.Env(), status, pi05_last_error());
  return ToObject(call.Env(), fingerprint);
}

}  // namespace pi05::addon
