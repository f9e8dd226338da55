// Attention in bf16 with Hopper's own instructions: heads of 256, or of 72 and 80 with at most 256 keys.
#pragma once

#include <cuda_runtime.h>

#include "backend/ops.h"

namespace pi05::kernels {

// Whether this GPU and this shape are among those; the matrices are as attention() takes them.
bool attention_hopper_fits(const Matrix& k, const AttentionShape& shape);
cudaError_t attention_hopper(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape,
                             const Matrix& out, cudaStream_t stream);

}  // namespace pi05::kernels
