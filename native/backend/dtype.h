// Element types of weights and matrices.
#pragma once

#include <cstdint>

namespace pi05 {

// E4M3: fp8 with 4 exponent and 3 mantissa bits, largest value 448. Only the CUDA backend computes with it; checkpoints
// do not store it.
enum class DType { F32, BF16, F16, E4M3 };

constexpr int64_t bytes_of(DType type) { return type == DType::F32 ? 4 : type == DType::E4M3 ? 1 : 2; }

constexpr const char* name_of(DType type) {
  return type == DType::F32 ? "F32" : type == DType::BF16 ? "BF16" : type == DType::F16 ? "F16" : "E4M3";
}

}  // namespace pi05
