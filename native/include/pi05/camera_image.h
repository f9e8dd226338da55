/* Conversion of the encodings that cameras send and the engine does not take. C ABI, as pi05.h. */
#ifndef PI05_CAMERA_IMAGE_H
#define PI05_CAMERA_IMAGE_H

#include "pi05/pi05.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Layouts, named as in sensor_msgs/image_encodings. The letters of a Bayer layout are the colours of the first four
 * pixels: two of the first row, two of the second. */
typedef enum pi05_layout {
  PI05_LAYOUT_UYVY = 0,        /* 4:2:2, U Y V Y for two pixels; even width */
  PI05_LAYOUT_YUYV = 1,        /* 4:2:2, Y U Y V */
  PI05_LAYOUT_NV12 = 2,        /* 4:2:0, a plane of Y, then one of U V; even width and height */
  PI05_LAYOUT_NV21 = 3,        /* the same with V U */
  PI05_LAYOUT_BAYER_RGGB8 = 4, /* at least 3x3 pixels */
  PI05_LAYOUT_BAYER_BGGR8 = 5,
  PI05_LAYOUT_BAYER_GBRG8 = 6,
  PI05_LAYOUT_BAYER_GRBG8 = 7,
  PI05_LAYOUT_RGB16 = 8, /* 16 bits per channel */
  PI05_LAYOUT_BGR16 = 9,
  PI05_LAYOUT_RGBA16 = 10,
  PI05_LAYOUT_BGRA16 = 11
} pi05_layout;

typedef struct pi05_camera_image {
  const uint8_t* data; /* rows of step bytes: height of them, for NV12 and NV21 half as many again */
  int32_t width;       /* pixels */
  int32_t height;      /* pixels */
  int64_t step;        /* bytes */
  pi05_layout layout;
  int32_t big_endian; /* 1 = 16-bit channels have their high byte first */
  int64_t bytes;      /* size of data */
} pi05_camera_image;

/* Converts an image as OpenCV's cvtColor does, bit for bit: YUV by ITU-R BT.601 with 16 to 235 for Y, Bayer bilinear
 * with the first and last rows and columns copied from their neighbours. 16-bit channels are divided by 257 and
 * rounded, as cv_bridge does. rgb: out, (height, width, 3). */
PI05_API pi05_status pi05_convert_to_rgb8(const pi05_camera_image* image, uint8_t* rgb);

#ifdef __cplusplus
}
#endif

#endif
