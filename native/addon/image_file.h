// checkImageFile(data): a promise of {width, height, damage}, read on a thread of libuv's pool.
#pragma once

#include <napi.h>

namespace pi05::addon {

Napi::Value CheckImageFile(const Napi::CallbackInfo& call);

}  // namespace pi05::addon
