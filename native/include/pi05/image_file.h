/* Checks of compressed image files, to tell harmless errors from missing image data. C ABI, as pi05.h. */
#ifndef PI05_IMAGE_FILE_H
#define PI05_IMAGE_FILE_H

#include "pi05/pi05.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pi05_image_file {
  int32_t width;    /* pixels; 0 where the file ends before its size, or does not state it */
  int32_t height;   /* pixels */
  char damage[160]; /* what is missing or wrong, a clause; empty if the image is complete */
} pi05_image_file;

/* Reads a JPEG or PNG file without computing its pixels.
 *
 * JPEG: walks through the Huffman codes of every scan. The image is complete if every block is coded and the file has
 * an end marker. A few bytes that belong to nothing (between segments, before a restart marker, before the end marker)
 * and fields that a decoder does not need do no harm. Baseline and progressive files; others are reported as damage.
 *
 * PNG: checks the chunks and their checksums, not the compressed pixels. */
PI05_API pi05_status pi05_check_image_file(const uint8_t* data, int64_t bytes, pi05_image_file* out);

#ifdef __cplusplus
}
#endif

#endif
