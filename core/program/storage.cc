#include "core/program/storage.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/program/arena_planner.h"

namespace trireme::core {
namespace {

// Memory that one or several values take one after another.
struct Storage {
  LiveRange range;
  int chunk = 0;
  bool transferred = false;  // comes from another rank, or goes to one
  std::vector<ValueId> values;
};

// Time runs through the segments as listed: a tick where each begins, one a node, one at its end.
class StoragePlanner {
 public:
  StoragePlanner(const Graph& graph, std::span<const SegmentPlan> segments, DeviceKind device,
                 bool prepares_in_segment)
      : graph_(graph),
        segments_(segments),
        device_(device),
        prepares_in_segment_(prepares_in_segment) {}

  ActivationPlan run() {
    set_times();
    find_last_uses();
    share_memory();
    plan_.values.resize(graph_.values().size());
    plan_.workspaces.resize(graph_.nodes().size());
    for (int chunk = 0; chunk < static_cast<int>(chunk_end_.size()); ++chunk) plan_slot(chunk);
    for (int segment = 0; segment < static_cast<int>(segments_.size()); ++segment)
      plan_scratch(segment);
    return std::move(plan_);
  }

 private:
  bool is_activation(ValueId id) const {
    return id != kNoValue && graph_.value(id).role == Role::kActivation &&
           (graph_.value(id).producer != kNoNode || received_at_[id] >= 0);
  }
  bool crosses(const Storage& s) const {
    return s.transferred || segment_at_[s.range.begin] != segment_at_[s.range.end];
  }

  void set_times() {
    time_of_.assign(graph_.nodes().size(), -1);
    received_at_.assign(graph_.values().size(), -1);
    sent_in_.assign(graph_.values().size(), -1);
    for (int s = 0; s < static_cast<int>(segments_.size()); ++s) {
      const SegmentPlan& segment = segments_[s];
      for (const Transfer& receive : segment.receives) received_at_[receive.value] = now();
      for (const Transfer& send : segment.sends) sent_in_[send.value] = segment.chunk;
      segment_at_.push_back(s);
      for (NodeId id : segment.nodes) {
        time_of_[id] = now();
        segment_at_.push_back(s);
      }
      if (segment.chunk >= static_cast<int>(chunk_end_.size()))
        chunk_end_.resize(segment.chunk + 1);
      chunk_end_[segment.chunk] = now();
      segment_at_.push_back(s);
    }
  }
  int now() const { return static_cast<int>(segment_at_.size()); }

  // A value is in use until its last reader, or the last reader of a view of it, has run.
  void find_last_uses() {
    last_use_.assign(graph_.values().size(), -1);
    for (const SegmentPlan& segment : segments_)  // what is passed on, no node here may ever read
      for (const Transfer& send : segment.sends) use(send.value, chunk_end_[segment.chunk]);
    for (size_t s = segments_.size(); s-- > 0;) {
      const std::vector<NodeId>& nodes = segments_[s].nodes;
      for (size_t n = nodes.size(); n-- > 0;) {
        const Node& node = graph_.node(nodes[n]);
        const int time = time_of_[nodes[n]];
        for (ValueId output : node.outputs) use(output, time);
        for (size_t i = 0; i < node.inputs.size(); ++i) {
          if (node.inputs[i] == kNoValue) continue;
          const bool viewed = node.op->view_of() == static_cast<int>(i);
          use(node.inputs[i], viewed ? last_use_[node.outputs[0]] : time);
        }
      }
    }
  }
  void use(ValueId value, int time) {
    if (sent_in_[value] >= 0) time = std::max(time, chunk_end_[sent_in_[value]]);
    last_use_[value] = std::max(last_use_[value], time);
  }

  void share_memory() {
    storage_of_.assign(graph_.values().size(), -1);
    for (const SegmentPlan& segment : segments_) {
      for (const Transfer& receive : segment.receives)
        join(receive.value, -1, received_at_[receive.value], segment.chunk);
      for (NodeId id : segment.nodes) {
        const Node& node = graph_.node(id);
        check_inputs(node, segment.chunk);
        for (size_t i = 0; i < node.outputs.size(); ++i)
          if (is_activation(node.outputs[i]))
            join(node.outputs[i], i == 0 ? memory_to_take(id, node) : -1, time_of_[id],
                 segment.chunk);
      }
    }
  }

  void check_inputs(const Node& node, int chunk) const {
    for (ValueId input : node.inputs) {
      if (input == kNoValue || graph_.value(input).role != Role::kActivation) continue;
      const int storage = storage_of_[input];
      if (storage == kOutside) continue;
      if (storage < 0 || storages_[storage].chunk != chunk)
        fail("[program] '{}' of chunk {} uses '{}', which that chunk neither makes nor receives",
             node.name, chunk, graph_.value(input).name);
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
    if (storage < 0 || storages_[storage].range.end != time_of_[id]) return -1;  // read later
    return graph_.type(input).bytes() == graph_.type(node.outputs[0]).bytes() ? storage : -1;
  }

  void join(ValueId value, int storage, int now, int chunk) {
    if (storage == kOutside) {  // a view of an input or parameter lies where that lies
      storage_of_[value] = kOutside;
      return;
    }
    if (storage < 0) {
      storage = static_cast<int>(storages_.size());
      storages_.push_back({.range = {graph_.type(value).bytes(), now, now}, .chunk = chunk});
    }
    Storage& taken = storages_[storage];
    storage_of_[value] = storage;
    taken.values.push_back(value);
    taken.transferred |= received_at_[value] >= 0 || sent_in_[value] >= 0;
    taken.range.end = std::max(taken.range.end, last_use_[value]);
  }

  void plan_slot(int chunk) {
    std::vector<LiveRange> ranges;
    std::vector<const Storage*> chosen;
    for (const Storage& storage : storages_)
      if (storage.chunk == chunk && crosses(storage)) {
        ranges.push_back(storage.range);
        chosen.push_back(&storage);
      }
    const ArenaPlan arena = plan_arena(ranges);
    for (size_t i = 0; i < chosen.size(); ++i) put(*chosen[i], {Arena::kSlot, arena.offsets[i]});
    plan_.slot_bytes.push_back(arena.bytes);
  }

  void plan_scratch(int segment) {
    std::vector<LiveRange> ranges;
    std::vector<const Storage*> chosen;
    for (const Storage& storage : storages_)
      if (!crosses(storage) && segment_at_[storage.range.begin] == segment) {
        ranges.push_back(storage.range);
        chosen.push_back(&storage);
      }
    std::vector<NodeId> with_workspace;
    for (NodeId id : segments_[segment].nodes)
      if (const int64_t bytes = workspace_bytes(id); bytes > 0) {
        ranges.push_back({bytes, time_of_[id], time_of_[id]});
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
    if (node.op->view_of() >= 0 || node.op->exchange() != nullptr) return 0;
    const std::vector<ValueType> inputs = graph_.input_types(node);
    const std::vector<ValueType> outputs = graph_.output_types(node);
    const NodeTypes types{inputs, outputs};
    const int64_t prepared = prepares_in_segment_ ? node.op->prepared_cap(types, device_) : 0;
    return round_up_256(prepared) + node.op->workspace_cap(types, device_);
  }

  void put(const Storage& storage, Location location) {
    for (ValueId id : storage.values) plan_.values[id] = location;
  }

  static constexpr int kOutside = -2;

  const Graph& graph_;
  std::span<const SegmentPlan> segments_;
  DeviceKind device_;
  bool prepares_in_segment_;
  std::vector<int> segment_at_;   // by time
  std::vector<int> time_of_;      // by node
  std::vector<int> chunk_end_;    // by chunk: the end of its last segment
  std::vector<int> received_at_;  // by value, -1: not received
  std::vector<int> sent_in_;      // by value: the chunk, -1: not sent
  std::vector<int> last_use_;     // by value
  std::vector<int> storage_of_;   // by value
  std::vector<Storage> storages_;
  ActivationPlan plan_;
};

}  // namespace

ActivationPlan plan_activations(const Graph& graph, std::span<const SegmentPlan> segments,
                                DeviceKind device, bool prepares_in_segment) {
  return StoragePlanner(graph, segments, device, prepares_in_segment).run();
}

}  // namespace trireme::core
