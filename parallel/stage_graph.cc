#include "parallel/stage_graph.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"

namespace trireme::parallel {
namespace {

using core::kNoNode;
using core::kNoValue;
using core::Node;
using core::NodeId;
using core::Phase;
using core::Role;
using core::Value;
using core::ValueId;

class StageExtractor {
 public:
  StageExtractor(const core::Graph& whole, const StagePlace& place)
      : whole_(whole), place_(place) {}

  StageGraph run() {
    find_views_of_inputs();
    find_uses();
    for (ValueId input : whole_.with_role(Role::kInput)) shared(input);
    for (NodeId id = 0; id < static_cast<NodeId>(whole_.nodes().size()); ++id)
      if (is_local(id)) copy(whole_.node(id));
    for (const Node& node : whole_.nodes())  // in the order in which values can be sent
      for (ValueId output : node.outputs) cross(output);
    copy_sums();
    return std::move(stage_);
  }

 private:
  // The chunks that use a value: the first and the last, and that which makes it.
  struct Uses {
    int home = 0, first = 0, last = 0;
  };

  // Of inputs, and of views of those: every rank has the batch.
  bool is_batch(ValueId id) const {
    return id != kNoValue && (whole_.value(id).role == Role::kInput || views_[id]);
  }

  void find_views_of_inputs() {
    views_.assign(whole_.values().size(), false);
    for (const Node& node : whole_.nodes())
      if (const int view = node.op->view_of(); view >= 0 && is_batch(node.inputs[view]))
        views_[node.outputs[0]] = true;
  }

  bool travels(ValueId id) const {
    return id != kNoValue && whole_.value(id).role == Role::kActivation && !views_[id];
  }

  void find_uses() {
    uses_.resize(whole_.values().size());
    needed_.assign(whole_.values().size(), false);
    for (const Node& node : whole_.nodes())
      for (ValueId output : node.outputs) uses_[output] = {node.chunk, node.chunk, node.chunk};
    for (auto node = whole_.nodes().rbegin(); node != whole_.nodes().rend(); ++node) {
      const bool here = place_.holds(node->chunk) || needed_[node->outputs[0]];
      for (ValueId input : node->inputs) {
        if (input == kNoValue) continue;
        if (here && views_[input]) needed_[input] = true;
        if (travels(input)) use(*node, input);
      }
    }
  }

  void use(const Node& node, ValueId input) {
    Uses& uses = uses_[input];
    const NodeId producer = whole_.value(input).producer;
    const bool forward = whole_.node(producer).phase == Phase::kForward;
    if (forward ? node.chunk < uses.home : node.chunk > uses.home)
      fail("[pipeline] '{}' of chunk {} uses '{}', which chunk {} makes too late", node.name,
           node.chunk, whole_.value(input).name, uses.home);
    uses.first = std::min(uses.first, node.chunk);
    uses.last = std::max(uses.last, node.chunk);
  }

  bool is_local(NodeId id) const {
    const Node& node = whole_.node(id);
    if (views_[node.outputs[0]]) return needed_[node.outputs[0]];
    return place_.holds(node.chunk);
  }

  void copy(const Node& node) {
    Node local = node;
    // Segments list the last chunk first, and whatever reads a view is listed behind it.
    local.chunk = views_[node.outputs[0]] ? place_.chunks - 1 : node.chunk / place_.stages;
    local.accumulate = false;
    for (ValueId& input : local.inputs)
      if (input != kNoValue) input = travels(input) ? in_chunk(input, node.chunk) : shared(input);
    for (ValueId& output : local.outputs) {
      local.accumulate |= shared_.contains(output);  // an earlier node here wrote to it
      output = travels(output) ? in_chunk(output, node.chunk) : shared(output);
    }
    stage_.graph.append(std::move(local));
  }

  // What is one value in all chunks: inputs and views of them, parameters, their gradients, sums.
  ValueId shared(ValueId id) {
    if (const auto found = shared_.find(id); found != shared_.end()) return found->second;
    Value value = whole_.value(id);
    value.producer = kNoNode;
    if (value.parameter != kNoValue) value.parameter = shared(value.parameter);
    return shared_[id] = stage_.graph.append(std::move(value));
  }

  // The value as `chunk`, of this stage, sees it.
  ValueId in_chunk(ValueId id, int chunk) {
    const auto [found, is_new] = local_.try_emplace({id, chunk});
    if (!is_new) return found->second;
    Value value = whole_.value(id);
    value.producer = kNoNode;
    if (chunk != uses_[id].home) value.name = fmt::format("{}@chunk{}", value.name, chunk);
    return found->second = stage_.graph.append(std::move(value));
  }

  void cross(ValueId id) {
    if (!travels(id)) return;
    const Uses& uses = uses_[id];
    for (int chunk = uses.home; chunk < uses.last; ++chunk) hop(id, chunk, chunk + 1);
    for (int chunk = uses.home; chunk > uses.first; --chunk) hop(id, chunk, chunk - 1);
  }

  void hop(ValueId id, int from, int to) {
    for (const bool receive : {false, true}) {
      const int here = receive ? to : from;
      if (!place_.holds(here)) continue;
      stage_.crossings.push_back(
          {.value = in_chunk(id, here),
           .chunk = here / place_.stages,
           .down = to > from,
           .receive = receive,
           .what = fmt::format("{} to chunk {}", whole_.value(id).name, to)});
    }
  }

  ValueId sum_here(const core::NamedSum& sum) const {
    const auto found = shared_.find(sum.value);
    return found == shared_.end() ? kNoValue : found->second;
  }

  void copy_sums() {
    for (const core::NamedSum& loss : whole_.losses())
      stage_.graph.add_loss(loss.name, sum_here(loss), loss.weight, loss.nominal_per_sample);
    for (const core::NamedSum& metric : whole_.metrics())
      stage_.graph.add_metric(metric.name, sum_here(metric));
  }

  const core::Graph& whole_;
  StagePlace place_;
  std::vector<bool> views_;   // by value: of an input
  std::vector<bool> needed_;  // by value: a view that this stage uses
  std::vector<Uses> uses_;    // by value
  std::map<ValueId, ValueId> shared_;
  std::map<std::pair<ValueId, int>, ValueId> local_;  // by value and the network's chunk
  StageGraph stage_;
};

}  // namespace

StageGraph extract_stage(const core::Graph& whole, const StagePlace& place) {
  return StageExtractor(whole, place).run();
}

}  // namespace trireme::parallel
