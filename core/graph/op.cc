#include "core/graph/op.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"

namespace trireme::core {

void Op::gradient(GradientBuilder&) const {
  fail("[{}] has no gradient, but a loss depends on a parameter through it", type());
}

}  // namespace trireme::core
