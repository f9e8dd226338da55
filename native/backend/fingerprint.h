// Fingerprints of images: equal for equal colours, whatever the encoding and the padding of the rows.
#pragma once

#include <cstdint>

#include "pi05/fingerprint.h"

namespace pi05 {

// The image must have passed check_image's conditions on encoding, step and bytes.
pi05_fingerprint fingerprint(const pi05_image& image);

}  // namespace pi05
