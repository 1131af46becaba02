#include "models/mlp.h"

#include <fmt/format.h>

namespace trireme::models {

void mlp(NetBuilder& net, const MlpOptions& options) {
  core::ValueId x = net.flatten("flatten", net.data());
  int number = 1;
  for (int64_t outputs : options.hidden) {
    const std::string name = fmt::format("fc{}", number);
    x = net.linear(
        name, x,
        {.outputs = outputs, .op = {.activation = options.activation}, .init = options.init});
    x = net.dropout(fmt::format("dropout{}", number), x, options.dropout);
    ++number;
  }
  x = net.linear(fmt::format("fc{}", number), x,
                 {.outputs = options.classes, .init = options.init});
  net.softmax_cross_entropy("loss", x, {});
}

}  // namespace trireme::models
