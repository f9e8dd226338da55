/* Fingerprints of images, to compare them without comparing their pixels. C ABI, as pi05.h. */
#ifndef PI05_FINGERPRINT_H
#define PI05_FINGERPRINT_H

#include "pi05/pi05.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Two images have the same hash if and, except for one pair in 2^64, only if they have the same size and the same
 * colour in each pixel. Encoding, alpha and the padding of rows do not matter; grey is a colour with three equal
 * channels. */
typedef struct pi05_fingerprint {
  uint64_t hash;
  int32_t uniform; /* 1 = all pixels have one colour */
} pi05_fingerprint;

PI05_API pi05_status pi05_get_fingerprint(const pi05_image* image, pi05_fingerprint* out);

#ifdef __cplusplus
}
#endif

#endif
