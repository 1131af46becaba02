// The product that LinearGradWeight is, for its kernel and for the bound on its workspace.
#pragma once

#include "core/cpu/avx2_product.h"
#include "core/graph/op.h"

namespace trireme::core {

// dW (O, I) = dz^T x, dz being stored (rows, O).
Avx2Product linear_grad_weight_product(const NodeTypes& types);

}  // namespace trireme::core
