// How a weight is stored. Arithmetic is fp32 whatever the storage.
#pragma once

#include <cstddef>

namespace pi05 {

enum class DType { F32, BF16, F16 };

inline std::size_t dtype_size(DType type) { return type == DType::F32 ? 4 : 2; }

}  // namespace pi05
