// The C ABI of fingerprint.h.
#include "pi05/fingerprint.h"

#include <algorithm>

#include "backend/fingerprint.h"
#include "session/guarded.h"
#include "session/request.h"

extern "C" pi05_status pi05_get_fingerprint(const pi05_image* image, pi05_fingerprint* out) {
  return pi05::guarded([&] {
    pi05::require(image && out, "Expected image and out, received a null pointer");
    pi05::check_image(*image, std::max(image->width, image->height), "the image");
    *out = pi05::fingerprint(*image);
  });
}
