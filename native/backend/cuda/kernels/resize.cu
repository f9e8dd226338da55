// Resizes with padding and writes patches; the same arithmetic as backend/cpu/resize.cc. Launch: one block per row.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"
#include "backend/resample.h"

namespace pi05::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kHalf = 1 << (kPillowBits - 1);  // rounds Pillow's fixed point to the nearest integer

__device__ __forceinline__ uint8_t clip8(int fixed) {
  return static_cast<uint8_t>(min(max(fixed >> kPillowBits, 0), 255));
}

// Horizontal pass of the Pillow filter; output rows are RGB bytes. One block per row of the image.
__global__ void __launch_bounds__(kThreads)
    resize_rows_kernel(const uint8_t* image, int64_t step, PillowAxis axis, Placement place, uint8_t* resized) {
  const uint8_t* row = image + blockIdx.x * step;
  resized += static_cast<int64_t>(blockIdx.x) * axis.out * 3;
  for (int x = static_cast<int>(threadIdx.x); x < axis.out; x += kThreads) {
    if (axis.in == axis.out) {  // Pillow does not filter an axis that keeps its length
      const uint8_t* pixel = row + static_cast<int64_t>(x) * place.bytes;
      resized[3 * x] = pixel[place.red];
      resized[3 * x + 1] = pixel[place.green];
      resized[3 * x + 2] = pixel[place.blue];
      continue;
    }
    const uint8_t* pixel = row + static_cast<int64_t>(axis.first[x]) * place.bytes;
    const int32_t* weight = axis.weight + static_cast<int64_t>(x) * axis.support;
    int red = kHalf, green = kHalf, blue = kHalf;
    for (int j = 0; j < axis.length[x]; j++, pixel += place.bytes) {
      red += pixel[place.red] * weight[j];
      green += pixel[place.green] * weight[j];
      blue += pixel[place.blue] * weight[j];
    }
    resized[3 * x] = clip8(red), resized[3 * x + 1] = clip8(green), resized[3 * x + 2] = clip8(blue);
  }
}

// Address of pixel (x, y) of the square among the patches; its channels are `patch * patch` elements apart.
template <typename Value>
__device__ __forceinline__ Value* patch_address(Value* out, int64_t stride, int x, int y, const Placement& place) {
  const int side = place.size / place.patch;
  const int64_t row = static_cast<int64_t>(y / place.patch) * side + x / place.patch;
  return out + row * stride + y % place.patch * place.patch + x % place.patch;
}

// Vertical pass, padding, scaling to [-1, 1]. One block per row of the square.
template <typename Value>
__global__ void __launch_bounds__(kThreads) resize_columns_kernel(const uint8_t* resized, PillowAxis axis, int width,
                                                                  Placement place, Value* out, int64_t stride) {
  const int row = static_cast<int>(blockIdx.x), y = row - place.top;
  for (int column = static_cast<int>(threadIdx.x); column < place.size; column += kThreads) {
    const int x = column - place.left;
    int colour[3] = {0, 0, 0};
    if (x >= 0 && x < width && y >= 0 && y < axis.out) {
      const int64_t row_bytes = static_cast<int64_t>(width) * 3;
      if (axis.in == axis.out) {
        for (int c = 0; c < 3; c++) colour[c] = resized[y * row_bytes + 3 * x + c];
      } else {
        const uint8_t* pixel = resized + axis.first[y] * row_bytes + 3 * x;
        const int32_t* weight = axis.weight + static_cast<int64_t>(y) * axis.support;
        int sum[3] = {kHalf, kHalf, kHalf};
        for (int j = 0; j < axis.length[y]; j++, pixel += row_bytes)
          for (int c = 0; c < 3; c++) sum[c] += pixel[c] * weight[j];
        for (int c = 0; c < 3; c++) colour[c] = clip8(sum[c]);
      }
    }
    Value* patch = patch_address(out, stride, column, row, place);
    for (int c = 0; c < 3; c++)
      patch[c * place.patch * place.patch] =
          narrow<Value>(__fdiv_rn(static_cast<float>(colour[c]), 255.0f) * 2.0f - 1.0f);
  }
}

__device__ __forceinline__ float lerp(float weight, float low, float high) {
  return __fadd_rn(__fmul_rn(1.0f - weight, low), __fmul_rn(weight, high));
}

// LeRobot's resize: PyTorch's bilinear interpolation, padding, scaling to [-1, 1]. One block per row of the square.
template <typename Value>
__global__ void __launch_bounds__(kThreads)
    lerobot_kernel(const uint8_t* image, int64_t step, LinearAxis across, LinearAxis down, Placement place,
                   float border, Value* out, int64_t stride) {
  const int row = static_cast<int>(blockIdx.x), y = row - place.top;
  for (int column = static_cast<int>(threadIdx.x); column < place.size; column += kThreads) {
    const int x = column - place.left;
    const bool inside = x >= 0 && x < across.out && y >= 0 && y < down.out;
    const int channel[3] = {place.red, place.green, place.blue};
    Value* patch = patch_address(out, stride, column, row, place);
    for (int c = 0; c < 3; c++) {
      float value = border;
      if (inside) {
        const uint8_t* top = image + down.low[y] * step + channel[c];
        const uint8_t* bottom = image + down.high[y] * step + channel[c];
        const int64_t left = static_cast<int64_t>(across.low[x]) * place.bytes;
        const int64_t right = static_cast<int64_t>(across.high[x]) * place.bytes;
        const auto unit = [](uint8_t byte) { return __fdiv_rn(static_cast<float>(byte), 255.0f); };
        const float upper = lerp(across.weight[x], unit(top[left]), unit(top[right]));
        const float lower = lerp(across.weight[x], unit(bottom[left]), unit(bottom[right]));
        value = fminf(fmaxf(lerp(down.weight[y], upper, lower), 0.0f), 1.0f);
      }
      patch[c * place.patch * place.patch] = narrow<Value>(value * 2.0f - 1.0f);
    }
  }
}

bool fits(const Placement& place, const Matrix& out) {
  const int side = place.size / place.patch;
  return out.rows == static_cast<int64_t>(side) * side && out.cols == 3 * place.patch * place.patch;
}

}  // namespace

cudaError_t resize_pillow(const pi05_image& image, const PillowAxis& across, const PillowAxis& down,
                          const Placement& place, uint8_t* scratch, const Matrix& out, cudaStream_t stream) {
  if (!fits(place, out)) return cudaErrorInvalidValue;
  resize_rows_kernel<<<static_cast<unsigned>(image.height), kThreads, 0, stream>>>(image.data, image.step, across,
                                                                                   place, scratch);
  const cudaError_t launched = cudaGetLastError();
  if (launched != cudaSuccess) return launched;
  return by_type(out.dtype, [&](auto* type) {
    resize_columns_kernel<<<static_cast<unsigned>(place.size), kThreads, 0, stream>>>(
        scratch, down, across.out, place, static_cast<decltype(type)>(out.data), out.stride);
    return cudaGetLastError();
  });
}

cudaError_t resize_lerobot(const pi05_image& image, const LinearAxis& across, const LinearAxis& down,
                           const Placement& place, float border, const Matrix& out, cudaStream_t stream) {
  if (!fits(place, out)) return cudaErrorInvalidValue;
  return by_type(out.dtype, [&](auto* type) {
    lerobot_kernel<<<static_cast<unsigned>(place.size), kThreads, 0, stream>>>(
        image.data, image.step, across, down, place, border, static_cast<decltype(type)>(out.data), out.stride);
    return cudaGetLastError();
  });
}

}  // namespace pi05::kernels
