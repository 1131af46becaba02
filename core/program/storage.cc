#include "core/program/storage.h"

#include <algorithm>

#include "core/program/arena_planner.h"

namespace trireme::core {
namespace {

// Memory that one or several values take one after another.
struct Storage {
  LiveRange range;
  std::vector<ValueId> values;
};

class StoragePlanner {
 public:
  StoragePlanner(const Graph& graph, DeviceKind device) : graph_(graph), device_(device) {}

  ActivationPlan run() {
    find_last_uses();
    share_memory();
    plan_.values.resize(graph_.values().size());
    plan_.workspaces.resize(graph_.nodes().size());
    plan_slot();
    for (const bool backward : {false, true}) plan_scratch(backward);
    return std::move(plan_);
  }

 private:
  bool is_activation(ValueId id) const {
    return id != kNoValue && graph_.value(id).role == Role::kActivation &&
           graph_.value(id).producer != kNoNode;
  }
  bool is_backward(int time) const { return graph_.node(time).phase != Phase::kForward; }
  bool crosses(const Storage& s) const {
    return is_backward(s.range.begin) != is_backward(s.range.end);
  }

  // A value is in use until its last reader, or the last reader of a view of it, has run.
  void find_last_uses() {
    const auto nodes = static_cast<NodeId>(graph_.nodes().size());
    last_use_.assign(graph_.values().size(), -1);
    for (NodeId id = nodes - 1; id >= 0; --id) {
      const Node& node = graph_.node(id);
      for (ValueId output : node.outputs) last_use_[output] = std::max(last_use_[output], id);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId input = node.inputs[i];
        if (input == kNoValue) continue;
        const bool viewed = node.op->view_of() == static_cast<int>(i);
        last_use_[input] = std::max(last_use_[input], viewed ? last_use_[node.outputs[0]] : id);
      }
    }
  }

  void share_memory() {
    storage_of_.assign(graph_.values().size(), -1);
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes().size()); ++id) {
      const Node& node = graph_.node(id);
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        const ValueId output = node.outputs[i];
        if (!is_activation(output)) continue;
        const int taken = i == 0 ? memory_to_take(id, node) : -1;
        join(output, taken, id);
      }
    }
  }

  // The storage that output 0 of a node shares with an input, or -1.
  int memory_to_take(NodeId id, const Node& node) const {
    if (const int view = node.op->view_of(); view >= 0)
      return is_activation(node.inputs[view]) ? storage_of_[node.inputs[view]] : kOutside;
    const int over = node.op->may_overwrite();
    if (over < 0 || !is_activation(node.inputs[over])) return -1;
    const ValueId input = node.inputs[over];
    const int storage = storage_of_[input];
    if (storage < 0 || storages_[storage].range.end != id) return -1;  // somebody reads it later
    return graph_.type(input).bytes() == graph_.type(node.outputs[0]).bytes() ? storage : -1;
  }

  void join(ValueId value, int storage, NodeId now) {
    if (storage == kOutside) {  // a view of an input or parameter lies where that lies
      storage_of_[value] = kOutside;
      return;
    }
    if (storage < 0) {
      storage = static_cast<int>(storages_.size());
      storages_.push_back({.range = {graph_.type(value).bytes(), now, now}, .values = {}});
    }
    storage_of_[value] = storage;
    storages_[storage].values.push_back(value);
    storages_[storage].range.end = std::max(storages_[storage].range.end, last_use_[value]);
  }

  void plan_slot() {
    std::vector<LiveRange> ranges;
    std::vector<const Storage*> chosen;
    for (const Storage& storage : storages_)
      if (crosses(storage)) {
        ranges.push_back(storage.range);
        chosen.push_back(&storage);
      }
    const ArenaPlan arena = plan_arena(ranges);
    for (size_t i = 0; i < chosen.size(); ++i) put(*chosen[i], {Arena::kSlot, arena.offsets[i]});
    plan_.slot_bytes = arena.bytes;
  }

  void plan_scratch(bool backward) {
    std::vector<LiveRange> ranges;
    std::vector<const Storage*> chosen;
    for (const Storage& storage : storages_)
      if (!crosses(storage) && is_backward(storage.range.begin) == backward) {
        ranges.push_back(storage.range);
        chosen.push_back(&storage);
      }
    std::vector<NodeId> with_workspace;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes().size()); ++id)
      if (const int64_t bytes = workspace_bytes(id); bytes > 0 && is_backward(id) == backward) {
        ranges.push_back({bytes, id, id});
        with_workspace.push_back(id);
      }
    const ArenaPlan arena = plan_arena(ranges);
    for (size_t i = 0; i < chosen.size(); ++i) put(*chosen[i], {Arena::kScratch, arena.offsets[i]});
    for (size_t i = 0; i < with_workspace.size(); ++i)
      plan_.workspaces[with_workspace[i]] = {Arena::kScratch, arena.offsets[chosen.size() + i]};
    plan_.scratch_bytes = std::max(plan_.scratch_bytes, arena.bytes);
  }

  int64_t workspace_bytes(NodeId id) const {
    const Node& node = graph_.node(id);
    if (node.op->view_of() >= 0) return 0;
    const std::vector<ValueType> inputs = graph_.input_types(node);
    const std::vector<ValueType> outputs = graph_.output_types(node);
    return node.op->workspace_cap({inputs, outputs}, device_);
  }

  void put(const Storage& storage, Location location) {
    for (ValueId id : storage.values) plan_.values[id] = location;
  }

  static constexpr int kOutside = -2;

  const Graph& graph_;
  DeviceKind device_;
  std::vector<NodeId> last_use_;  // by value
  std::vector<int> storage_of_;   // by value
  std::vector<Storage> storages_;
  ActivationPlan plan_;
};

}  // namespace

ActivationPlan plan_activations(const Graph& graph, DeviceKind device) {
  return StoragePlanner(graph, device).run();
}

}  // namespace trireme::core
