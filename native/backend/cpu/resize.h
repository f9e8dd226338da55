// Resizing with padding to a square, as openpi and LeRobot do it. The image must be valid (see pi05_image).
#pragma once

#include "backend/cpu/threads.h"
#include "pi05/pi05.h"

namespace pi05 {

// Pillow's antialiased bilinear, bit for bit, as openpi uses it: out (size, size, 3), padding 0.
void resize_pillow(ThreadPool& pool, const pi05_image& image, int64_t size, uint8_t* out);

// PyTorch's bilinear without antialias, as LeRobot uses it: out (size, size, 3) in 0..1, padding `border`.
void resize_lerobot(ThreadPool& pool, const pi05_image& image, int64_t size, float border, float* out);

}  // namespace pi05
