#include "core/ops/reshape.h"

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {

std::vector<ValueType> Reshape::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  const Shape& x = inputs[0].shape;
  if (x.rank() == 0) fail("[reshape] expects x (B, ...), got {}", inputs[0].str());

  int open = -1;  // the place of -1
  int64_t known = 1;
  std::vector<int64_t> dims{x[0]};
  for (int64_t dim : dims_) {
    if (dim < -1 || (dim == -1 && open >= 0))
      fail("[reshape] expects dimensions of at least 0 and at most one -1, got ({})",
           fmt::join(dims_, ", "));
    if (dim == -1)
      open = static_cast<int>(dims.size());
    else
      known *= dim;
    dims.push_back(dim);
  }
  const int64_t row = x.elements_per_row();
  if (open >= 0 ? known == 0 || row % known != 0 : known != row)
    fail("[reshape] expects dimensions that hold the {} elements of a sample of {}, got ({})", row,
         x.str(), fmt::join(dims_, ", "));
  if (open >= 0) dims[open] = row / known;
  return {{Shape(dims), inputs[0].dtype}};
}

void Reshape::gradient(GradientBuilder& builder) const {
  const Shape& x = builder.type(builder.input(0)).shape;
  const std::vector<int64_t> back(x.dims().begin() + 1, x.dims().end());
  builder.emit("input", std::make_shared<Reshape>(back), {builder.output_gradient(0)}, {0});
}

// Where a dimension that is cut would end up is not asked: only what is not cut passes.
std::vector<ShardingRule> Reshape::shardings(const ShardingRequest& request) const {
  const Sharding partial = Sharding::partial();
  return {whole_rule(request), {{partial}, {partial}}};
}

std::unique_ptr<Kernel> Reshape::cpu_kernel(const NodeTypes&, const KernelContext&) const {
  throw SystemError("[reshape] is a view and runs no kernel");
}

std::unique_ptr<Kernel> Reshape::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw SystemError("[reshape] is a view and runs no kernel");
}

}  // namespace trireme::core
