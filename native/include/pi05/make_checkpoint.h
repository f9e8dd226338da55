/* Checkpoints with random weights, for tests and benchmarks. Not part of the inference ABI: library
 * pi05_make_checkpoint. Errors as in pi05.h. */
#ifndef PI05_MAKE_CHECKPOINT_H
#define PI05_MAKE_CHECKPOINT_H

#include "pi05/pi05.h"

#ifdef __cplusplus
extern "C" {
#endif

/* TINY: dimensions of the test fixtures. DEMO: an inference takes well under 100 ms of one core. FULL: Pi0.5, 7 GB. */
typedef enum pi05_size { PI05_SIZE_TINY = 0, PI05_SIZE_DEMO = 1, PI05_SIZE_FULL = 2 } pi05_size;

/* Writes model.safetensors and pi05_model.json into an existing directory. The weights have the distribution of the
 * test fixtures, with adaRMS gates of about 0.35. The bytes depend on size and seed only. PI05_CHECKPOINT_MISSING: a
 * file cannot be written. */
PI05_API pi05_status pi05_make_checkpoint(const char* directory, pi05_size size, uint64_t seed);

#ifdef __cplusplus
}
#endif

#endif
