#include "core/graph/op.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"

namespace trireme::core {

void Op::gradient(GradientBuilder&) const {
  fail("[{}] has no gradient, but a loss depends on a parameter through it", type());
}

std::vector<ShardingRule> Op::shardings(const ShardingRequest& request) const {
  return {whole_rule(request)};
}

std::vector<ValueId> Op::emit_local(LocalBuilder& builder) const {
  OpPtr op = local(builder);
  return builder.add("", op ? std::move(op) : builder.op(), builder.inputs());
}

}  // namespace trireme::core
