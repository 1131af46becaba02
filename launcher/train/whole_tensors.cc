#include "launcher/train/whole_tensors.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace trireme::launcher {
namespace {

// The bits of -0.0f are the least of all i32. So a maximum over the ranks' bits, with this where a
// rank holds nothing, gives the bits that the holders have, whoever and however many they are.
constexpr int32_t kNotHeld = std::numeric_limits<int32_t>::min();

// Writes what this rank holds of a parameter into its place in the whole tensor.
void place_held(const core::Session& session, const core::FlatParameter& parameter,
                core::StateBuffer buffer, std::vector<int32_t>& bits) {
  std::vector<float> values;
  core::for_each_run(
      parameter.slice, parameter.shape, [&](int64_t whole, int64_t local, int64_t count) {
        const int64_t first = parameter.offset + local;
        for (const core::ElementRange& held : session.held({buffer, first, count})) {
          values.resize(static_cast<size_t>(held.elements()));
          const core::StateRange range{buffer, held.begin, held.elements()};
          session.read_state(std::span(&range, 1), values.data());
          std::ranges::transform(values, bits.begin() + whole + (held.begin - first),
                                 [](float value) { return std::bit_cast<int32_t>(value); });
        }
      });
}

}  // namespace

std::vector<NamedTensor> whole_tensors(comm::Communicator& group, const core::Session& session,
                                       core::StateBuffer buffer) {
  std::vector<NamedTensor> all;
  std::vector<int32_t> bits;
  for (const core::WholeParameter& whole : session.plan().whole) {
    if (buffer != core::StateBuffer::kParameters && !whole.trained) continue;
    bits.assign(static_cast<size_t>(whole.shape.elements()), kNotHeld);
    if (const core::FlatParameter* mine = session.plan().layout.look_up(whole.name))
      place_held(session, *mine, buffer, bits);
    group.all_reduce(std::span(bits), comm::ReduceOp::kMax, {}, whole.name.c_str());
    NamedTensor tensor{.name = whole.name, .shape = whole.shape, .values = {}};
    if (group.rank() == 0)
      std::ranges::transform(bits, std::back_inserter(tensor.values),
                             [](int32_t value) { return std::bit_cast<float>(value); });
    all.push_back(std::move(tensor));
  }
  return all;
}

int64_t parameter_count(const core::SessionPlan& plan) {
  int64_t count = 0;
  for (const core::WholeParameter& parameter : plan.whole) count += parameter.shape.elements();
  return count;
}

}  // namespace trireme::launcher
