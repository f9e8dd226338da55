// Element types of weights and matrices.
#pragma once

#include <cstdint>

namespace pi05 {

enum class DType { F32, BF16, F16 };

constexpr int64_t bytes_of(DType type) { return type == DType::F32 ? 4 : 2; }

constexpr const char* name_of(DType type) { return type == DType::F32 ? "F32" : type == DType::BF16 ? "BF16" : "F16"; }

}  // namespace pi05
