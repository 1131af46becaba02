#include "core/program/build.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/error.h"
#include "core/program/storage.h"

namespace trireme::core {
namespace {

constexpr int kForward = 0, kBackward = 1;

int segment_of(const Node& node) { return node.phase == Phase::kForward ? kForward : kBackward; }

class Builder {
 public:
  Builder(Graph graph, const FlatLayout& layout, const BuildOptions& options)
      : layout_(layout), options_(options) {
    program_.name = options.name;
    program_.graph = std::move(graph);
    program_.micro_batch = options.micro_batch;
    program_.micro_batches = options.micro_batches;
  }

  Program build() {
    for (const char* name : {"forward", "backward", "update"})
      program_.segments.push_back({.name = name});
    program_.prepare.name = "prepare";
    place_fixed_values();
    place_activations();
    for (NodeId id = 0; id < static_cast<NodeId>(graph().nodes().size()); ++id) append_node(id);
    append_update();
    append_schedule();
    return std::move(program_);
  }

 private:
  const Graph& graph() const { return program_.graph; }

  void place_fixed_values() {
    locations_.resize(graph().values().size());
    const auto flat = [&](Arena arena, const std::string& name) {
      return Location{arena, layout_.find(name).offset * size_of(DType::kF32)};
    };
    int64_t control = 0;
    for (const auto* sums : {&graph().losses(), &graph().metrics()})
      for (const NamedSum& sum : *sums) {
        locations_[sum.value] = {Arena::kControl, control};
        control += 2 * size_of(DType::kF64);
      }
    program_.control_bytes = control + kVotes * size_of(DType::kF64);
    for (ValueId id = 0; id < static_cast<ValueId>(graph().values().size()); ++id) {
      const Value& value = graph().value(id);
      if (value.role == Role::kParameter) locations_[id] = flat(Arena::kParameters, value.name);
      if (value.role == Role::kGradient)
        locations_[id] = flat(Arena::kGradients, graph().value(value.parameter).name);
      if (value.role == Role::kInput) {
        locations_[id] = {Arena::kInputs, static_cast<int64_t>(program_.inputs.size())};
        program_.inputs.push_back(id);
      }
    }
  }

  void place_activations() {
    ActivationPlan plan = plan_activations(graph(), options_.device);
    program_.slot_bytes = plan.slot_bytes;
    program_.scratch_bytes = plan.scratch_bytes;
    workspaces_ = std::move(plan.workspaces);
    for (size_t id = 0; id < locations_.size(); ++id)
      if (plan.values[id].arena != Arena::kNone) locations_[id] = plan.values[id];
  }

  Location operand(ValueId id) const { return id == kNoValue ? Location{} : locations_[id]; }

  void append_node(NodeId id) {
    const Node& node = graph().node(id);
    if (node.op->view_of() < 0) {
      Segment& segment = program_.segments[segment_of(node)];
      const std::vector<ValueType> inputs = graph().input_types(node);
      const std::vector<ValueType> outputs = graph().output_types(node);
      Instruction instruction{.kind = InstructionKind::kKernel,
                              .index = id,
                              .inputs = static_cast<int16_t>(node.inputs.size()),
                              .outputs = static_cast<int16_t>(node.outputs.size()),
                              .accumulate = node.accumulate,
                              .workspace = workspaces_[id]};
      if (const int64_t bytes = node.op->prepared_cap({inputs, outputs}, options_.device)) {
        instruction.prepared = {Arena::kPrepared, program_.prepared_bytes};
        program_.prepared_bytes += (bytes + 255) / 256 * 256;
        append(program_.prepare, node, instruction, InstructionKind::kPrepare);
      }
      append(segment, node, instruction, InstructionKind::kKernel);
    } else if (Location& view = locations_[node.outputs[0]]; view.arena == Arena::kNone) {
      view = operand(node.inputs[node.op->view_of()]);
    }
    for (const CollectiveAfter& reduction : options_.reductions)
      if (reduction.after == id) append_collective(kBackward, reduction.collective, true);
  }

  void append(Segment& segment, const Node& node, Instruction instruction, InstructionKind kind) {
    instruction.kind = kind;
    instruction.first_operand = static_cast<int32_t>(segment.operands.size());
    for (ValueId input : node.inputs) segment.operands.push_back(operand(input));
    for (ValueId output : node.outputs) segment.operands.push_back(operand(output));
    segment.instructions.push_back(instruction);
  }

  void append_collective(int segment, const PlannedCollective& collective, bool last) {
    const auto index = static_cast<int32_t>(program_.collectives.size());
    program_.collectives.push_back(collective);
    program_.segments[segment].instructions.push_back({.kind = InstructionKind::kCollective,
                                                       .index = index,
                                                       .last_micro_batch = last,
                                                       .stream = StreamRole::kData});
  }

  void append_update() {
    constexpr int kUpdate = 2;
    for (const PlannedCollective& collective : options_.after_backward)
      append_collective(kUpdate, collective, false);
    auto& instructions = program_.segments[kUpdate].instructions;
    if (!options_.after_backward.empty() || !options_.reductions.empty())
      instructions.push_back({.kind = InstructionKind::kJoin, .stream = StreamRole::kData});
    if (!options_.update) return;
    for (auto kind : {InstructionKind::kNorm, InstructionKind::kControl, InstructionKind::kUpdate})
      instructions.push_back({.kind = kind});
  }

  // One stage: forward and backward of each micro-batch in turn need one slot.
  void append_schedule() {
    const bool backward = !program_.segments[kBackward].instructions.empty();
    for (int m = 0; m < options_.micro_batches; ++m)
      for (int segment = kForward; segment <= (backward ? kBackward : kForward); ++segment)
        program_.schedule.push_back({.segment = segment,
                                     .micro_batch = m,
                                     .first = m == 0,
                                     .last = m == options_.micro_batches - 1});
    if (!program_.segments[2].instructions.empty())
      program_.schedule.push_back({.segment = 2, .first = true, .last = true});
  }

  const FlatLayout& layout_;
  const BuildOptions& options_;
  Program program_;
  std::vector<Location> locations_;   // by value
  std::vector<Location> workspaces_;  // by node
};

}  // namespace

Program build_program(Graph graph, const FlatLayout& layout, const BuildOptions& options) {
  return Builder(std::move(graph), layout, options).build();
}

int64_t control_elements(const Graph& graph) {
  return 2 * static_cast<int64_t>(graph.losses().size() + graph.metrics().size()) + kVotes;
}

}  // namespace trireme::core
