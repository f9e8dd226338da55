// Conversion of camera encodings, on a thread of libuv's pool or on the calling thread.
#pragma once

#include <napi.h>

namespace pi05::addon {

// convertToRgb8(image): a promise of (height, width, 3) bytes. Borrows the image's data until it settles.
Napi::Value ConvertToRgb8(const Napi::CallbackInfo& call);

// convertToRgb8Sync(image)
Napi::Value ConvertToRgb8Sync(const Napi::CallbackInfo& call);

}  // namespace pi05::addon
