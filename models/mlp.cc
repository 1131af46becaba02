#include "models/mlp.h"

#include <fmt/format.h>

namespace trireme::models {

void mlp(NetBuilder& net, const MlpOptions& options) {
  // Under tensor parallelism odd layers are cut by outputs and even ones by the inputs that come of
  // it; logits are left whole.
  const auto split = [&](size_t number) {
    const bool logits = number > options.hidden.size();
    return core::SplitHint{.dim = number % 2 == 0 ? 1 : logits ? -1 : 0};
  };
  core::ValueId x = net.flatten("flatten", net.data());
  size_t number = 1;
  for (int64_t outputs : options.hidden) {
    const std::string name = fmt::format("fc{}", number);
    x = net.linear(name, x,
                   {.outputs = outputs,
                    .op = {.activation = options.activation},
                    .init = options.init,
                    .split = split(number)});
    x = net.dropout(fmt::format("dropout{}", number), x, options.dropout);
    ++number;
  }
  x = net.linear(fmt::format("fc{}", number), x,
                 {.outputs = options.classes, .init = options.init, .split = split(number)});
  net.softmax_cross_entropy("loss", x, {});
}

}  // namespace trireme::models
