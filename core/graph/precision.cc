#include "core/graph/precision.h"

namespace trireme::core {

void set_precision(Graph& forward, DType operands) {
  for (size_t i = 0; i < forward.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    if (OpPtr op = forward.node(id).op->with_operands(operands)) forward.set_op(id, std::move(op));
  }
}

}  // namespace trireme::core
