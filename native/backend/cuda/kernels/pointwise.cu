// Elementwise kernels: conversions, activations, embedding rows. Launch: one thread per element, in geglu per 16 bytes.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/kernels.h"

namespace pi05::kernels {
namespace {

constexpr int kThreads = 256;

// Calls body(row, column) once for every element.
template <typename Body>
__global__ void __launch_bounds__(kThreads) each_kernel(int64_t rows, int64_t cols, Body body) {
  const int64_t index = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x;
  if (index < rows * cols) body(index / cols, index % cols);
}

template <typename Body>
cudaError_t each(int64_t rows, int64_t cols, cudaStream_t stream, Body body) {
  if (rows <= 0 || cols <= 0 || rows * cols > (int64_t{1} << 31) * kThreads) return cudaErrorInvalidValue;
  each_kernel<<<blocks_for(rows * cols, kThreads), kThreads, 0, stream>>>(rows, cols, body);
  return cudaGetLastError();
}

template <typename From, typename To>
struct Copy {
  const From* from;
  int64_t from_rows, from_stride, from_cols;
  To* to;
  int64_t to_stride;
  __device__ void operator()(int64_t r, int64_t c) const {
    to[r * to_stride + c] = narrow<To>(c < from_cols ? widen(from[r % from_rows * from_stride + c]) : 0.0f);
  }
};

template <typename Value>
struct Silu {
  Value* x;
  int64_t stride;
  __device__ void operator()(int64_t r, int64_t c) const {
    const float value = widen(x[r * stride + c]);
    x[r * stride + c] = narrow<Value>(value / (1.0f + expf(-value)));
  }
};

template <typename Value>
struct BiasGelu {
  Value* out;
  int64_t stride;
  const Value* bias;
  bool gelu;
  __device__ void operator()(int64_t r, int64_t c) const {
    const float value = widen(out[r * stride + c]) + (bias ? widen(bias[c]) : 0.0f);
    out[r * stride + c] = narrow<Value>(gelu ? gelu_tanh(value) : value);
  }
};

// Alternating groups of rows: `group` of a, then `group` of b.
template <typename Value>
struct Interleave {
  const Value *a, *b;
  int64_t group;
  Value* out;
  int64_t stride;
  __device__ void operator()(int64_t r, int64_t c) const {
    const int64_t row = r / (2 * group) * group + r % group;
    out[r * stride + c] = (r / group % 2 ? b : a)[row * stride + c];
  }
};

template <typename Value>
struct Embed {
  const int32_t* tokens;
  const Value* table;
  int64_t width;
  float scale;
  float* out;
  int64_t stride;
  __device__ void operator()(int64_t r, int64_t c) const {
    out[r * stride + c] = widen(table[tokens[r] * width + c]) * scale;
  }
};

template <typename From>
cudaError_t convert(const void* from, int64_t from_rows, int64_t from_stride, int64_t from_cols, const Matrix& to,
                    cudaStream_t stream) {
  return by_type(to.dtype, [&](auto* type) {
    using To = std::remove_pointer_t<decltype(type)>;
    return each(to.rows, to.cols, stream,
                Copy<From, To>{static_cast<const From*>(from), from_rows, from_stride, from_cols,
                               static_cast<To*>(to.data), to.stride});
  });
}

cudaError_t convert(const void* from, DType type, int64_t from_rows, int64_t from_stride, int64_t from_cols,
                    const Matrix& to, cudaStream_t stream) {
  if (type == DType::F32) return convert<float>(from, from_rows, from_stride, from_cols, to, stream);
  if (type == DType::BF16) return convert<bf16>(from, from_rows, from_stride, from_cols, to, stream);
  return convert<fp16>(from, from_rows, from_stride, from_cols, to, stream);
}

// GELU for results of the pointer's type.
__device__ __forceinline__ float gelu_for(float x, const float*) { return gelu_tanh(x); }
template <typename Narrow>
__device__ __forceinline__ float gelu_for(float x, const Narrow*) {
  return gelu_tanh_fast(x);
}

// A thread computes Width adjacent values.
template <typename Value, int Width>
__global__ void __launch_bounds__(kThreads)
    geglu_kernel(const Value* gate_up, int64_t gate_up_stride, int64_t interleave, Value* out, int64_t out_stride,
                 int64_t rows, int64_t cols) {
  const int64_t index = (blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x) * Width;
  if (index >= rows * cols) return;
  struct alignas(sizeof(Value) * Width) Vector {
    Value value[Width];
  };
  const int64_t row = index / cols, col = index % cols;
  gate_up += row * gate_up_stride + col / interleave * 2 * interleave + col % interleave;
  const Vector gate = *reinterpret_cast<const Vector*>(gate_up);
  const Vector up = *reinterpret_cast<const Vector*>(gate_up + interleave);
  Vector result;
#pragma unroll
  for (int i = 0; i < Width; i++)
    result.value[i] = narrow<Value>(gelu_for(widen(gate.value[i]), gate_up) * widen(up.value[i]));
  *reinterpret_cast<Vector*>(out + row * out_stride + col) = result;
}

}  // namespace

cudaError_t check_kernel_image() {
  cudaFuncAttributes code{};
  return cudaFuncGetAttributes(&code, each_kernel<Silu<float>>);
}

cudaError_t copy(const Matrix& from, const Matrix& to, cudaStream_t stream) {
  if (from.cols != to.cols || from.rows <= 0) return cudaErrorInvalidValue;
  return convert(from.data, from.dtype, from.rows, from.stride, from.cols, to, stream);
}

cudaError_t pad(const void* from, DType type, int64_t rows, int64_t cols, const Matrix& to, cudaStream_t stream) {
  if (to.rows != rows || to.cols < cols) return cudaErrorInvalidValue;
  return convert(from, type, rows, cols, cols, to, stream);
}

cudaError_t silu(const Matrix& x, cudaStream_t stream) {
  return by_type(x.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return each(x.rows, x.cols, stream, Silu<Value>{static_cast<Value*>(x.data), x.stride});
  });
}

cudaError_t apply_epilogue(const Matrix& out, const void* bias, bool gelu, cudaStream_t stream) {
  return by_type(out.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return each(out.rows, out.cols, stream,
                BiasGelu<Value>{static_cast<Value*>(out.data), out.stride, static_cast<const Value*>(bias), gelu});
  });
}

cudaError_t geglu(const Matrix& gate_up, int64_t interleave, const Matrix& out, cudaStream_t stream) {
  if (gate_up.cols != 2 * out.cols || gate_up.rows != out.rows || gate_up.dtype != out.dtype || out.rows <= 0 ||
      interleave <= 0 || out.cols % interleave != 0)
    return cudaErrorInvalidValue;
  const bool wide = interleave % 8 == 0 && gate_up.stride % 8 == 0 && out.stride % 8 == 0;
  return by_type(out.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    constexpr int kWidth = 16 / sizeof(Value);
    const auto launch = [&](auto* kernel, int64_t width) {
      kernel<<<blocks_for(out.rows * out.cols, kThreads * width), kThreads, 0, stream>>>(
          static_cast<const Value*>(gate_up.data), gate_up.stride, interleave, static_cast<Value*>(out.data),
          out.stride, out.rows, out.cols);
      return cudaGetLastError();
    };
    return wide ? launch(geglu_kernel<Value, kWidth>, kWidth) : launch(geglu_kernel<Value, 1>, 1);
  });
}

cudaError_t interleave(const Tensor& a, const Tensor& b, int64_t group, const Matrix& to, cudaStream_t stream) {
  if (a.dtype != to.dtype || b.dtype != to.dtype || a.rows != b.rows || to.rows != 2 * a.rows || a.rows % group != 0 ||
      a.cols != to.stride || b.cols != to.stride)
    return cudaErrorInvalidValue;
  return by_type(to.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return each(to.rows, to.stride, stream,
                Interleave<Value>{static_cast<const Value*>(a.data), static_cast<const Value*>(b.data), group,
                                  static_cast<Value*>(to.data), to.stride});
  });
}

cudaError_t embed(const int32_t* tokens, const Tensor& table, float scale, const Matrix& out, cudaStream_t stream) {
  if (out.dtype != DType::F32 || out.cols > table.cols) return cudaErrorInvalidValue;
  return by_type(table.dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    return each(out.rows, out.cols, stream,
                Embed<Value>{tokens, static_cast<const Value*>(table.data), table.cols, scale,
                             static_cast<float*>(out.data), out.stride});
  });
}

}  // namespace pi05::kernels
