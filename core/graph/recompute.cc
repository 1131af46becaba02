#include "core/graph/recompute.h"

#include <algorithm>
#include <map>

namespace trireme::core {

std::vector<std::string> blocks_of(const Graph& graph) {
  std::vector<std::string> blocks;
  for (const Node& node : graph.nodes())
    if (!node.block.empty() && std::ranges::find(blocks, node.block) == blocks.end())
      blocks.push_back(node.block);
  return blocks;
}

class Recomputer {
 public:
  explicit Recomputer(Graph& graph) : graph_(graph) {}

  void run(const std::set<std::string>& blocks) {
    find_readers();
    for (const std::string& block : blocks_of(graph_))
      if (blocks.contains(block)) copy_block(block);
    insert_copies();
  }

  std::vector<BlockStash> stashes() {
    find_readers();
    std::vector<BlockStash> stashes;
    for (const std::string& block : blocks_of(graph_)) {
      BlockStash stash{.block = block};
      for (ValueId id : kept_for_backward(block)) {
        stash.chunk = graph_.node(graph_.value(id).producer).chunk;
        stash.bytes += graph_.type(id).bytes();
      }
      if (stash.bytes > 0) stashes.push_back(std::move(stash));
    }
    return stashes;
  }

 private:
  static bool is_forward(const Node& node) { return node.phase == Phase::kForward; }

  void find_readers() {
    kept_.assign(graph_.values_.size(), false);
    for (const Node& node : graph_.nodes_)
      for (ValueId input : node.inputs) {
        if (input == kNoValue || !is_forward(node)) continue;
        const NodeId producer = graph_.value(input).producer;
        if (producer == kNoNode || graph_.node(producer).block != node.block) kept_[input] = true;
      }
  }

  // A loss or metric would be counted twice.
  bool makes_sum(const Node& node) const {
    return std::ranges::any_of(node.outputs, [&](ValueId output) {
      if (output == kNoValue) return false;
      const Role role = graph_.value(output).role;
      return role == Role::kLoss || role == Role::kMetric;
    });
  }

  // Whether the value is made in the block and kept by nobody else.
  bool is_inner(ValueId id, const std::string& block) const {
    if (id == kNoValue || kept_[id] || graph_.value(id).role != Role::kActivation) return false;
    const NodeId producer = graph_.value(id).producer;
    return producer != kNoNode && is_forward(graph_.node(producer)) &&
           graph_.node(producer).block == block && !makes_sum(graph_.node(producer));
  }

  std::set<ValueId> kept_for_backward(const std::string& block) const {
    std::set<ValueId> values;
    for (const Node& node : graph_.nodes_) {
      if (is_forward(node)) continue;
      for (ValueId input : node.inputs)
        if (is_inner(input, block)) values.insert(input);
    }
    return values;
  }

  void copy_block(const std::string& block) {
    NodeId first_reader = kNoNode;
    std::set<NodeId> needed;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes_.size()); ++id) {
      if (is_forward(graph_.node(id))) continue;
      for (ValueId input : graph_.node(id).inputs) {
        if (!is_inner(input, block)) continue;
        need(graph_.value(input).producer, block, needed);
        if (first_reader == kNoNode) first_reader = id;
      }
    }
    std::map<ValueId, ValueId> copies;
    for (NodeId id : needed) copies_before_[first_reader].push_back(copy(id, copies));
    for (Node& node : graph_.nodes_)
      if (!is_forward(node)) redirect(node, copies);
  }

  void need(NodeId id, const std::string& block, std::set<NodeId>& needed) const {
    if (!needed.insert(id).second) return;
    for (ValueId input : graph_.node(id).inputs)
      if (is_inner(input, block)) need(graph_.value(input).producer, block, needed);
  }

  Node copy(NodeId id, std::map<ValueId, ValueId>& copies) {
    Node node = graph_.node(id);
    node.name += "/again";
    node.phase = Phase::kInputBackward;
    redirect(node, copies);
    for (ValueId& output : node.outputs) {
      Value value = graph_.value(output);
      value.name += "/again";
      const ValueId made = graph_.new_value(std::move(value));
      kept_.push_back(true);  // a copy is not copied again
      if (is_inner(output, node.block)) copies[output] = made;
      output = made;
    }
    return node;
  }

  static void redirect(Node& node, const std::map<ValueId, ValueId>& copies) {
    for (ValueId& input : node.inputs)
      if (const auto found = copies.find(input); found != copies.end()) input = found->second;
  }

  void insert_copies() {
    std::vector<Node> nodes;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes_.size()); ++id) {
      if (const auto copies = copies_before_.find(id); copies != copies_before_.end())
        std::ranges::move(copies->second, std::back_inserter(nodes));
      nodes.push_back(std::move(graph_.nodes_[id]));
    }
    graph_.nodes_ = std::move(nodes);
    for (auto id = static_cast<NodeId>(graph_.nodes_.size()) - 1; id >= 0; --id)
      for (ValueId output : graph_.nodes_[id].outputs) graph_.values_[output].producer = id;
  }

  Graph& graph_;
  std::vector<bool> kept_;  // by value: read by forward nodes outside of its block
  std::map<NodeId, std::vector<Node>> copies_before_;
};

std::vector<BlockStash> stashes_of(const Graph& graph) {
  Graph copy = graph;
  return Recomputer(copy).stashes();
}

void recompute(Graph& graph, const std::set<std::string>& blocks) { Recomputer(graph).run(blocks); }

}  // namespace trireme::core
