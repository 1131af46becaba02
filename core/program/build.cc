#include "core/program/build.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/program/input_sets.h"
#include "core/program/storage.h"

namespace trireme::core {
namespace {

constexpr int64_t kSumBytes = 2 * size_of(DType::kF64);  // a sum and its weight

class Builder {
 public:
  Builder(Graph graph, const FlatLayout& layout, const BuildOptions& options)
      : layout_(layout), options_(options), plans_(options.segments), turns_(options.turns) {
    program_.name = options.name;
    program_.graph = std::move(graph);
    program_.micro_batch = options.micro_batch;
    program_.micro_batches = options.micro_batches;
    program_.gathered_bytes = options.gathered_bytes;
    for (size_t i = 0; i < options.insertions.size(); ++i)
      insertions_.emplace(options.insertions[i].node, i);
    if (plans_.empty()) plans_ = whole_graph(program_.graph);
    if (turns_.empty())
      turns_ = one_after_another(static_cast<int>(plans_.size()), options.micro_batches);
  }

  Program build() {
    program_.prepare.name = "prepare";
    place_fixed_values();
    place_activations();
    for (const SegmentPlan& plan : plans_) append_segment(plan);
    append_update();
    append_schedule();
    program_.input_sets = input_sets(program_);
    return std::move(program_);
  }

 private:
  const Graph& graph() const { return program_.graph; }

  void place_fixed_values() {
    locations_.resize(graph().values().size());
    int64_t control = 0;
    for (const auto* sums : {&graph().losses(), &graph().metrics()})
      for (const NamedSum& sum : *sums) {
        if (sum.value != kNoValue) locations_[sum.value] = {Arena::kControl, control};
        control += kSumBytes;
      }
    program_.control_bytes = control + kVotes * size_of(DType::kF64);
    for (ValueId id = 0; id < static_cast<ValueId>(graph().values().size()); ++id) place(id);
    program_.input_used.resize(program_.inputs.size());
  }

  // Of a parameter, a gradient, a state or an input; parameters of other ranks' chunks have no
  // place here.
  void place(ValueId id) {
    const Value& value = graph().value(id);
    const auto flat = [&](Arena arena, const std::string& name) {
      const FlatParameter* parameter = layout_.look_up(name);
      if (parameter == nullptr) return;
      const int64_t offset =
          arena == Arena::kGradients ? parameter->gradient_offset : parameter->offset;
      locations_[id] = {arena, offset * size_of(DType::kF32)};
    };
    if (value.role == Role::kParameter) flat(Arena::kParameters, value.name);
    if (value.role == Role::kGradient) flat(Arena::kGradients, graph().value(value.parameter).name);
    if (value.role == Role::kState) {
      locations_[id] = {Arena::kState, program_.state_bytes};
      program_.states.push_back({id, program_.state_bytes});
      program_.state_bytes += (value.type.bytes() + 255) / 256 * 256;
    }
    if (value.role == Role::kInput) {
      locations_[id] = {Arena::kInputs, static_cast<int64_t>(program_.inputs.size())};
      program_.inputs.push_back(id);
    }
  }

  void place_activations() {
    ActivationPlan plan =
        plan_activations(graph(), plans_, options_.device, options_.transient_parameters);
    slot_bytes_ = std::move(plan.slot_bytes);
    program_.scratch_bytes = plan.scratch_bytes;
    workspaces_ = std::move(plan.workspaces);
    for (size_t id = 0; id < locations_.size(); ++id)
      if (plan.values[id].arena != Arena::kNone) locations_[id] = plan.values[id];
  }

  void append_segment(const SegmentPlan& plan) {
    program_.segments.push_back({.name = plan.name});
    Segment& segment = program_.segments.back();
    for (const auto& [value, location] : plan.locations) locations_[value] = location;
    for (const Transfer& receive : plan.receives) append_transfer(segment, receive, true);
    for (const bool down : {true, false})
      if (std::ranges::any_of(plan.receives, [&](const Transfer& t) { return t.down == down; }))
        segment.instructions.push_back(
            {.kind = InstructionKind::kJoin,
             .stream = down ? StreamRole::kReceiveDown : StreamRole::kReceiveUp});
    append_sends(segment, plan, kNoNode);
    for (NodeId id : plan.nodes) {
      append_node(segment, id);
      append_sends(segment, plan, id);
    }
    for (const Location& operand : segment.operands)
      if (operand.arena == Arena::kInputs) {
        segment.reads_inputs = true;
        program_.input_used[operand.offset] = true;
      }
  }

  // Each as soon as it is there: behind its producer, or at once if it was received.
  void append_sends(Segment& segment, const SegmentPlan& plan, NodeId producer) {
    for (const Transfer& send : plan.sends)
      if (graph().value(send.value).producer == producer) append_transfer(segment, send, false);
  }

  void append_transfer(Segment& segment, Transfer transfer, bool receive) {
    transfer.receive = receive;
    const Location location = locations_[transfer.value];
    ensure(location.arena == Arena::kSlot, "what goes to another rank lies in the slot");
    segment.instructions.push_back({.kind = InstructionKind::kTransfer,
                                    .index = static_cast<int32_t>(program_.transfers.size()),
                                    .stream = stream_of(transfer)});
    program_.transfers.push_back(transfer);
    program_.transfer_locations.push_back(location);
  }

  void append_node(Segment& segment, NodeId id) {
    insert(segment, id, true);
    append_work(segment, id);
    insert(segment, id, false);
  }

  void append_work(Segment& segment, NodeId id) {
    const Node& node = graph().node(id);
    Instruction instruction{.kind = InstructionKind::kKernel,
                            .index = id,
                            .inputs = static_cast<int16_t>(node.inputs.size()),
                            .outputs = static_cast<int16_t>(node.outputs.size()),
                            .accumulate = node.accumulate,
                            .replace = options_.fresh_gradients && makes_gradient(node)};
    if (node.op->exchange() != nullptr) {
      instruction.kind = InstructionKind::kExchange;
      instruction.stream = StreamRole::kTensor;
      append(segment, node, instruction);
    } else if (node.op->view_of() < 0) {
      instruction.workspace = workspaces_[id];
      reserve_prepared(segment, node, instruction);
      append(segment, node, instruction);
    } else if (Location& view = locations_[node.outputs[0]]; view.arena == Arena::kNone) {
      view = operand(node.inputs[node.op->view_of()]);
    }
  }

  bool makes_gradient(const Node& node) const {
    return std::ranges::any_of(node.outputs, [&](ValueId output) {
      return graph().value(output).role == Role::kGradient;
    });
  }

  void insert(Segment& segment, NodeId id, bool before) {
    const auto [first, end] = insertions_.equal_range(id);
    for (auto at = first; at != end; ++at)
      if (options_.insertions[at->second].before == before) append_insertion(segment, at->second);
  }

  void append_insertion(Segment& segment, size_t number) {
    const Insertion& insertion = options_.insertions[number];
    Instruction instruction{.last_micro_batch = insertion.last_micro_batch,
                            .stream = StreamRole::kData};
    if (const auto* collective = std::get_if<PlannedCollective>(&insertion.what)) {
      inserted_[number] = static_cast<int32_t>(program_.collectives.size());
      return append_collective(segment, *collective, insertion.last_micro_batch);
    }
    if (const auto* wait = std::get_if<Insertion::Wait>(&insertion.what)) {
      instruction.kind = InstructionKind::kWait;
      instruction.index = inserted_.at(wait->insertion);
    } else {
      instruction.kind = InstructionKind::kAccumulate;
      instruction.index = static_cast<int32_t>(program_.accumulations.size());
      program_.accumulations.push_back(std::get<PlannedAccumulation>(insertion.what));
    }
    segment.instructions.push_back(instruction);
  }

  // A prepared form is written once after each update; beside its node, if the parameter is not
  // there before. What is computed again reads that of the first time.
  void reserve_prepared(Segment& segment, const Node& node, Instruction& instruction) {
    const std::vector<ValueType> inputs = graph().input_types(node);
    const std::vector<ValueType> outputs = graph().output_types(node);
    const int64_t bytes = node.op->prepared_cap({inputs, outputs}, options_.device);
    if (bytes == 0) return;
    if (options_.transient_parameters) {  // in front of the workspace, as storage reserved it
      instruction.prepared = instruction.workspace;
      instruction.workspace.offset += round_up_256(bytes);
    } else {
      const auto [prepared, fresh] = prepared_.try_emplace(
          prepared_key(node), Location{Arena::kPrepared, program_.prepared_bytes});
      instruction.prepared = prepared->second;
      if (!fresh) return;
      program_.prepared_bytes += round_up_256(bytes);
    }
    Instruction prepare = instruction;
    prepare.kind = InstructionKind::kPrepare;
    append(options_.transient_parameters ? segment : program_.prepare, node, prepare);
  }

  // Nodes of the same op on the same parameters, and activations of the same types, read one form.
  using PreparedKey = std::pair<const Op*, std::vector<std::string>>;
  PreparedKey prepared_key(const Node& node) const {
    PreparedKey key{node.op.get(), {}};
    for (ValueId input : node.inputs) {
      if (input == kNoValue) continue;
      const Value& value = graph().value(input);
      key.second.push_back(value.role == Role::kParameter ? value.name : value.type.str());
    }
    return key;
  }

  Location operand(ValueId id) const { return id == kNoValue ? Location{} : locations_[id]; }

  void append(Segment& segment, const Node& node, Instruction instruction) {
    instruction.first_operand = static_cast<int32_t>(segment.operands.size());
    for (ValueId input : node.inputs) segment.operands.push_back(operand(input));
    for (ValueId output : node.outputs) segment.operands.push_back(operand(output));
    segment.instructions.push_back(instruction);
  }

  void append_collective(Segment& segment, const PlannedCollective& collective, bool last) {
    const auto index = static_cast<int32_t>(program_.collectives.size());
    program_.collectives.push_back(collective);
    segment.instructions.push_back({.kind = InstructionKind::kCollective,
                                    .index = index,
                                    .last_micro_batch = last,
                                    .stream = StreamRole::kData});
  }

  void append_update() {
    program_.segments.push_back({.name = "update"});
    Segment& segment = program_.segments.back();
    zero_sums(segment);
    const auto reduce = [&](const std::vector<PlannedCollective>& collectives, bool join) {
      for (const PlannedCollective& collective : collectives)
        append_collective(segment, collective, false);
      if (join)
        segment.instructions.push_back(
            {.kind = InstructionKind::kJoin, .stream = StreamRole::kData});
    };
    reduce(options_.after_backward,
           !options_.after_backward.empty() || !options_.insertions.empty());
    if (!options_.update) return;
    segment.instructions.push_back({.kind = InstructionKind::kNorm});
    if (options_.norm_reduction) reduce({*options_.norm_reduction}, true);
    for (auto kind : {InstructionKind::kControl, InstructionKind::kUpdate})
      segment.instructions.push_back({.kind = kind});
    reduce(options_.after_update, !options_.after_update.empty());
  }

  // Sums that are another rank's to count: the reduction left all ranks' total there last time.
  void zero_sums(Segment& segment) {
    int64_t at = 0;
    for (const auto* sums : {&graph().losses(), &graph().metrics()})
      for (const NamedSum& sum : *sums) {
        if (!options_.counts_sums || sum.value == kNoValue) {
          segment.instructions.push_back({.kind = InstructionKind::kZero,
                                          .index = static_cast<int32_t>(program_.zeroed.size())});
          program_.zeroed.push_back({{Arena::kControl, at}, kSumBytes});
        }
        at += kSumBytes;
      }
  }

  void append_schedule() {
    std::vector<ChunkSlots> slots(slot_bytes_.size() + 1);  // by chunk, where they begin
    for (size_t chunk = 0; chunk < slot_bytes_.size(); ++chunk) {
      int count = 0;
      for (const Turn& turn : turns_)
        if (plans_[turn.segment].chunk == static_cast<int>(chunk))
          count = std::max(count, turn.slot + 1);
      slots[chunk + 1] = {slots[chunk].number + count,
                          slots[chunk].offset + count * slot_bytes_[chunk]};
    }
    program_.slots = slots.back().number;
    program_.slot_bytes = slots.back().offset;
    std::vector<int> seen(plans_.size()), last(plans_.size());
    for (size_t i = 0; i < turns_.size(); ++i) last[turns_[i].segment] = static_cast<int>(i);
    for (size_t i = 0; i < turns_.size(); ++i) {
      const Turn& turn = turns_[i];
      const int chunk = plans_[turn.segment].chunk;
      program_.schedule.push_back(
          {.segment = turn.segment,
           .micro_batch = turn.micro_batch,
           .slot = slots[chunk].number + turn.slot,
           .slot_offset = slots[chunk].offset + turn.slot * slot_bytes_[chunk],
           .first = seen[turn.segment]++ == 0,
           .last = last[turn.segment] == static_cast<int>(i),
           .opens_slot = is_first_of_chunk(turn.segment)});
    }
    const auto update = static_cast<int>(program_.segments.size()) - 1;
    if (!program_.segments[update].instructions.empty())
      program_.schedule.push_back({.segment = update, .first = true, .last = true});
  }

  bool is_first_of_chunk(int segment) const {
    for (int s = 0; s < segment; ++s)
      if (plans_[s].chunk == plans_[segment].chunk) return false;
    return true;
  }

  struct ChunkSlots {
    int number = 0;
    int64_t offset = 0;
  };

  const FlatLayout& layout_;
  const BuildOptions& options_;
  std::vector<SegmentPlan> plans_;
  std::vector<Turn> turns_;
  std::multimap<NodeId, size_t> insertions_;  // of one node in their order
  std::map<size_t, int32_t> inserted_;        // collectives, by insertion
  std::map<PreparedKey, Location> prepared_;  // forms of parameters
  Program program_;
  std::vector<int64_t> slot_bytes_;   // by chunk, of one slot
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
