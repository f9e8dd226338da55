// Upper limits of the GPU's speed, measured in the same run as the figures that are compared with them.
#pragma once

namespace pi05 {

struct Ceilings {
  double bf16_tflops;    // TFLOP/s of an 8192³ product of random bf16 values by cuBLASLt
  double copy_tb_per_s;  // TB/s, read and written, of a copy of 2 GiB
};

// Takes about 5 GB of GPU memory and a second. Throws Error.
Ceilings measure_ceilings();

}  // namespace pi05
