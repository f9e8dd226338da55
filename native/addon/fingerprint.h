// Fingerprints of images, on a thread of libuv's pool or on the calling thread.
#pragma once

#include <napi.h>

namespace pi05::addon {

// fingerprint(image): a promise of {hash: bigint, uniform: boolean}. Borrows the image's data until it settles.
Napi::Value Fingerprint(const Napi::CallbackInfo& call);

// fingerprintSync(image)
Napi::Value FingerprintSync(const Napi::CallbackInfo& call);

}  // namespace pi05::addon
