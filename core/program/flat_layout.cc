#include "core/program/flat_layout.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace trireme::core {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Trained parameters in the order in which their gradients are complete: a gradient that several
// nodes contribute to is complete after the last of them.
std::vector<ValueId> trained_in_order(const Graph& graph) {
  std::vector<ValueId> order;
  for (const Node& node : graph.nodes())
    for (ValueId output : node.outputs) {
      const Value& value = graph.value(output);
      if (value.role != Role::kGradient) continue;
      std::erase(order, value.parameter);
      order.push_back(value.parameter);
    }
  return order;
}

// In the order in which they are made.
std::vector<ValueId> gradients_of(const Graph& graph, ValueId parameter) {
  std::vector<ValueId> gradients;
  for (const Node& node : graph.nodes())
    for (ValueId output : node.outputs)
      if (graph.value(output).role == Role::kGradient &&
          graph.value(output).parameter == parameter &&
          std::ranges::find(gradients, output) == gradients.end())
        gradients.push_back(output);
  return gradients;
}

int chunk_of_gradient(const Graph& graph, ValueId parameter) {
  return graph.node(graph.value(gradients_of(graph, parameter).front()).producer).chunk;
}

// The rest of the ids go to what is returned, each part in its order.
template <typename Stays>
std::vector<ValueId> take_out_unless(std::vector<ValueId>& ids, const Stays& stays) {
  const auto taken = std::ranges::stable_partition(ids, stays);
  std::vector<ValueId> rest(taken.begin(), taken.end());
  ids.erase(taken.begin(), taken.end());
  return rest;
}

// Takes those of the given names out, in the order of the names.
std::vector<ValueId> take_out(const Graph& graph, const std::vector<std::string>& names,
                              std::vector<ValueId>& order) {
  std::vector<ValueId> taken;
  for (const std::string& name : names)
    if (const ValueId id = graph.find(name); std::erase(order, id) > 0) taken.push_back(id);
  return taken;
}

void place_extra_gradients(const Graph& graph, FlatLayout& layout) {
  for (size_t b = 0; b < layout.buckets.size(); ++b) {
    const FlatParameter& parameter = layout.parameters[layout.buckets[b].first_parameter];
    const std::vector<ValueId> gradients = gradients_of(graph, graph.find(parameter.name));
    for (size_t i = 1; i < gradients.size(); ++i) {
      layout.extra_gradients.push_back(
          {graph.value(gradients[i]).name, b, layout.gradient_elements});
      layout.gradient_elements += layout.buckets[b].end - layout.buckets[b].begin;
    }
  }
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
                                 .trained = trained,
                                 .partial_gradient = value.partial_gradient});
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

  int chunk = 0;
  std::vector<ValueId> others = trained_in_order(graph);
  const std::vector<ValueId> tail = take_out(graph, last, others);
  const std::vector<ValueId> shared =
      take_out_unless(others, [&](ValueId id) { return gradients_of(graph, id).size() == 1; });
  const std::vector<ValueId> partial =
      take_out_unless(others, [&](ValueId id) { return !graph.value(id).partial_gradient; });
  for (const auto* part : {&std::as_const(others), &partial, &shared, &tail}) {
    for (ValueId id : *part) {
      // A bucket's gradients are made in one chunk, so that it is full when that one is done.
      if (const int its = chunk_of_gradient(graph, id); its != chunk) {
        close_bucket();
        chunk = its;
      }
      place(id, true);
      const int64_t begin = layout.buckets.empty() ? 0 : layout.buckets.back().end;
      const bool alone = part == &shared || part == &tail;
      if (alone || (offset - begin) * size_of(DType::kF32) >= bucket_bytes) close_bucket();
    }
    close_bucket();
  }
  layout.trained_elements = layout.gradient_elements = offset;
  place_extra_gradients(graph, layout);
  for (ValueId id : graph.with_role(Role::kParameter))
    if (std::ranges::find(layout.parameters, graph.value(id).name, &FlatParameter::name) ==
        layout.parameters.end())
      place(id, false);
  layout.total_elements = offset;
  return layout;
}

}  // namespace trireme::core
