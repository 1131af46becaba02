#include "tests/support/whole_state.h"

#include <fmt/format.h>

#include <bit>
#include <limits>
#include <stdexcept>

namespace trireme::test {
namespace {

// A NaN that no computation makes: nobody has filled the place yet.
const float kEmpty = std::bit_cast<float>(0x7fc0dead);

bool is_empty(float value) {
  return std::bit_cast<uint32_t>(value) == std::bit_cast<uint32_t>(kEmpty);
}

}  // namespace

void assemble(const core::Session& session, core::StateBuffer buffer, Tensors& tensors) {
  std::vector<float> values;
  for (const core::FlatParameter& parameter : session.plan().layout.parameters) {
    if (buffer != core::StateBuffer::kParameters && !parameter.trained) continue;
    std::vector<float>& tensor = tensors[parameter.name];
    tensor.resize(parameter.whole_shape().elements(), kEmpty);
    core::for_each_run(
        parameter.slice, parameter.shape, [&](int64_t whole, int64_t local, int64_t count) {
          const int64_t first = parameter.offset + local;
          for (const core::ElementRange& held : session.held({buffer, first, count})) {
            values.resize(held.elements());
            const core::StateRange range{buffer, held.begin, held.elements()};
            session.read_state(std::span(&range, 1), values.data());
            for (size_t i = 0; i < values.size(); ++i) {
              float& place = tensor[whole + held.begin - first + i];
              if (!is_empty(place) && place != values[i])
                throw std::runtime_error(
                    fmt::format("two ranks hold different values of '{}': {} "
                                "and {}",
                                parameter.name, place, values[i]));
              place = values[i];
            }
          }
        });
  }
}

}  // namespace trireme::test
