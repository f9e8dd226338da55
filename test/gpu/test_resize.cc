// Resizing on the GPU against the CPU, pixel by pixel, for every pixel format and both filters.
#include "backend/cpu/cpu_ops.h"
#include "checkpoint/make_checkpoint.h"
#include "fixtures.h"
#include "gpu.h"

namespace {

constexpr int32_t kSizes[][2] = {{640, 480}, {480, 640}, {224, 224},   {1280, 720}, {100, 50},  {224, 100},
                                 {37, 224},  {301, 223}, {1920, 1080}, {3, 2},      {576, 324}, {17, 1000}};
constexpr int64_t kBytesPerPixel[] = {3, 3, 4, 4, 1};

// The largest difference between the CPU's and the GPU's patches.
double largest_difference(pi05::Ops& cpu, pi05::Ops& gpu, const pi05_image& image, pi05_resize resize) {
  const pi05::Dimensions& d = cpu.dims;
  std::vector<float> values[2];
  pi05::Ops* backends[] = {&cpu, &gpu};
  for (int i = 0; i < 2; i++) {
    pi05::Ops& ops = *backends[i];
    const std::vector<float> zeros(static_cast<size_t>(d.horizon * d.action_dim));
    const std::vector<int32_t> ids(zeros.size());
    pi05::Shape shape;
    shape.images = {image};
    shape.tokens = shape.steps = 1;
    pi05::Inputs inputs;
    inputs.images = {image};
    inputs.tokens = inputs.time_row = ids.data();
    inputs.noise = inputs.prev_chunk = inputs.prefix_weights = inputs.frozen_mask = inputs.guidance_weights =
        inputs.times = zeros.data();
    const pi05::Matrix out = ops.allocate(d.vision.patches(), d.vision.patch_values(), pi05::DType::F32);
    const pi05::Inputs& in = ops.upload(shape, inputs);
    ops.run(shape, [&] { ops.patches(in.images, resize, out); });
    values[i].resize(static_cast<size_t>(out.rows * out.cols));
    ops.download(out, values[i].data());
  }
  double largest = 0;
  for (size_t i = 0; i < values[0].size(); i++)
    largest = std::max(largest, std::abs(double{values[0][i]} - double{values[1][i]}));
  return largest;
}

void check_equal(pi05_resize resize, double tolerance) {
  const pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
  std::vector<uint8_t> bytes((1920 * 4 + 5) * 1080);
  uint32_t state = 3;
  for (uint8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  double largest = 0;
  for (const auto& [width, height] : kSizes)
    for (int format = PI05_PIXELS_RGB8; format <= PI05_PIXELS_MONO8; format++) {
      pi05::CpuOps cpu(dims, 2, false);
      const auto gpu = pi05::make_cuda_ops(dims, pi05::CudaPrecision::F32);
      const pi05_image image{bytes.data(),
                             width,
                             height,
                             width * kBytesPerPixel[format] + (format == PI05_PIXELS_RGBA8 ? 5 : 0),
                             static_cast<pi05_pixels>(format),
                             static_cast<int64_t>(bytes.size())};
      largest = std::max(largest, largest_difference(cpu, *gpu, image, resize));
    }
  CHECK_LE(largest, tolerance);
}

}  // namespace

TEST(pillows_filter_is_bit_identical) { check_equal(PI05_RESIZE_PILLOW, 0); }
TEST(lerobots_filter_is_equal_within_rounding) {
  check_equal(PI05_RESIZE_LEROBOT, 5e-7);
  check_equal(PI05_RESIZE_LEROBOT_BEFORE_0_5, 5e-7);
}

RUN_GPU_TESTS()
