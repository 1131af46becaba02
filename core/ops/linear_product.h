// The products that the linear ops are, for their kernels and for the bounds on their workspaces.
#pragma once

#include "core/cpu/avx2_product.h"
#include "core/graph/op.h"

namespace trireme::core {

// y (rows, O) = x W^T, without what follows the sum.
Avx2Product linear_product(const NodeTypes& types);

// dx (rows, I) = dz W.
Avx2Product linear_grad_input_product(const NodeTypes& types);

// dW (O, I) = dz^T x, dz being stored (rows, O).
Avx2Product linear_grad_weight_product(const NodeTypes& types);

}  // namespace trireme::core
