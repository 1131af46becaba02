#include "core/program/flat_layout.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::core {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

struct Trained {
  ValueId parameter = kNoValue;
  int chunk = 0;  // in which its gradient is complete
};

// In the order in which gradients are complete: one that several nodes contribute to is complete
// after the last of them.
std::vector<Trained> trained_in_order(const Graph& graph) {
  std::vector<Trained> order;
  for (const Node& node : graph.nodes())
    for (ValueId output : node.outputs) {
      const Value& value = graph.value(output);
      if (value.role != Role::kGradient) continue;
      std::erase_if(order, [&](const Trained& t) { return t.parameter == value.parameter; });
      order.push_back({value.parameter, node.chunk});
    }
  return order;
}

// Takes those of the given names out, in the order of the names.
std::vector<Trained> take_out(const Graph& graph, const std::vector<std::string>& names,
                              std::vector<Trained>& order) {
  std::vector<Trained> taken;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(order, graph.find(name), &Trained::parameter);
    if (found == order.end()) continue;
    taken.push_back({found->parameter, -1});
    order.erase(found);
  }
  return taken;
}

}  // namespace

int64_t FlatLayout::parameter_count() const {
  int64_t count = 0;
  for (const FlatParameter& parameter : parameters) count += parameter.elements;
  return count;
}

const FlatParameter& FlatLayout::find(const std::string& name) const {
  const FlatParameter* found = look_up(name);
  if (found == nullptr) fail("[parameters] has no parameter '{}'", name);
  return *found;
}

const FlatParameter* FlatLayout::look_up(const std::string& name) const {
  const auto found = std::ranges::find(parameters, name, &FlatParameter::name);
  return found == parameters.end() ? nullptr : &*found;
}

std::vector<WholeParameter> whole_parameters(const FlatLayout& layout) {
  std::vector<WholeParameter> all;
  for (const FlatParameter& parameter : layout.parameters)
    all.push_back({parameter.name, parameter.whole_shape(), parameter.trained});
  return all;
}

int64_t parameter_count(const std::vector<WholeParameter>& parameters) {
  int64_t count = 0;
  for (const WholeParameter& parameter : parameters) count += parameter.shape.elements();
  return count;
}

FlatLayout make_flat_layout(const Graph& graph, int64_t bucket_bytes, int degree,
                            const std::vector<std::string>& last) {
  FlatLayout layout;
  int64_t offset = 0;
  const auto place = [&](ValueId id, bool trained) {
    const Value& value = graph.value(id);
    layout.parameters.push_back({.name = value.name,
                                 .shape = value.type.shape,
                                 .slice = value.slice,
                                 .init = value.init,
                                 .offset = offset,
                                 .elements = value.type.elements(),
                                 .gradient_offset = offset,
                                 .trained = trained});
    offset += round_up(value.type.elements(), kElementAlignment);
  };
  const auto close_bucket = [&] {
    const int64_t begin = layout.buckets.empty() ? 0 : layout.buckets.back().end;
    if (offset == begin) return;
    const int first = layout.buckets.empty() ? 0 : layout.buckets.back().end_parameter;
    offset = begin + round_up(offset - begin, kElementAlignment * degree);
    layout.buckets.push_back({.begin = begin,
                              .end = offset,
                              .first_parameter = first,
                              .end_parameter = static_cast<int>(layout.parameters.size())});
  };

  std::vector<Trained> order = trained_in_order(graph);
  std::ranges::copy(take_out(graph, last, order), std::back_inserter(order));
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && order[i].chunk != order[i - 1].chunk) close_bucket();
    place(order[i].parameter, true);
    const int64_t begin = layout.buckets.empty() ? 0 : layout.buckets.back().end;
    if ((offset - begin) * size_of(DType::kF32) >= bucket_bytes) close_bucket();
  }
  close_bucket();
  layout.trained_elements = layout.gradient_elements = offset;
  for (ValueId id : graph.with_role(Role::kParameter))
    if (std::ranges::find(layout.parameters, graph.value(id).name, &FlatParameter::name) ==
        layout.parameters.end())
      place(id, false);
  layout.total_elements = offset;
  return layout;
}

}  // namespace trireme::core
