#include "core/program/build.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/optim/exact_sum.h"
#include "core/program/input_sets.h"
#include "core/program/storage.h"

namespace trireme::core {
namespace {

constexpr int64_t kSumBytes = 2 * size_of(DType::kF64);  // a sum and its weight
constexpr int64_t kExactBytes = kExactLimbs * size_of(DType::kI64);

// Of `count` numbers of the control vector from byte `at` on.
PlannedExactSum exact_sums_at(int64_t at, int64_t count) {
  return {.values = {Arena::kControl, at},
          .sums = {Arena::kExact, at / size_of(DType::kF64) * kExactBytes},
          .count = count};
}

class Builder {
 public:
  Builder(Graph graph, const FlatLayout& layout, const BuildOptions& options)
      : layout_(layout), options_(options), plans_(options.segments), turns_(options.turns) {
    program_.name = options.name;
    program_.graph = std::move(graph);
    program_.micro_batch = options.micro_batch;
    program_.micro_batches = options.micro_batches;
    program_.leaf_micro_batches =
        options.leaf_micro_batches > 0 ? options.leaf_micro_batches : options.micro_batches;
    program_.leaf_skip = options.leaf_skip;
    program_.gathered_bytes = options.gathered_bytes;
    program_.leaf_bytes = options.leaf_bytes;
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
    if (options_.exact_sums) program_.exact_bytes = exact_norm(graph()).sums.offset + kExactBytes;
    for (ValueId id = 0; id < static_cast<ValueId>(graph().values().size()); ++id) place(id);
    program_.input_used.resize(program_.inputs.size());
  }

  // Of a parameter, a gradient, a state or an input; parameters of other ranks' chunks have no
  // place here.
  void place(ValueId id) {
    const Value& value = graph().value(id);
    if (value.role == Role::kParameter)
      if (const FlatParameter* parameter = layout_.look_up(value.name))
        locations_[id] = {Arena::kParameters, parameter->offset * size_of(DType::kF32)};
    if (value.role == Role::kGradient) place_gradient(id);
    if (value.role == Role::kState) {
      locations_[id] = {Arena::kState, program_.state_bytes};
      program_.states.push_back({id, program_.state_bytes});
      program_.state_bytes += round_up_256(value.type.bytes());
    }
    if (value.role == Role::kInput) {
      locations_[id] = {Arena::kInputs, static_cast<int64_t>(program_.inputs.size())};
      program_.inputs.push_back(id);
    }
  }

  void place_gradient(ValueId id) {
    const auto put = [&](int64_t offset) {
      locations_[id] = {Arena::kGradients, offset * size_of(DType::kF32)};
    };
    const Value& value = graph().value(id);
    const auto extra = std::ranges::find(layout_.extra_gradients, value.name, &ExtraGradient::name);
    if (extra != layout_.extra_gradients.end()) return put(extra->gradient_offset);
    if (const FlatParameter* parameter = layout_.look_up(graph().value(value.parameter).name))
      put(parameter->gradient_offset);
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
    if (options_.exact_sums) sum_exactly(segment, id);
    insert(segment, id, false);
  }

  void append_work(Segment& segment, NodeId id) {
    const Node& node = graph().node(id);
    Instruction instruction{.kind = InstructionKind::kKernel,
                            .index = id,
                            .inputs = static_cast<int16_t>(node.inputs.size()),
                            .outputs = static_cast<int16_t>(node.outputs.size()),
                            .adds = adds_of(node)};
    if (node.op->exchange() != nullptr) {
      instruction.kind = InstructionKind::kExchange;
      instruction.stream = StreamRole::kTensor;
      append(segment, node, instruction);
    } else if (node.op->view_of() < 0) {
      instruction.workspace = workspaces_[id];
      reserve_prepared(segment, node, instruction);
      append(segment, node, instruction);
    } else {
      append_view(node);
    }
  }

  // A view of what storage has not placed lies where that lies.
  void append_view(const Node& node) {
    const Value& value = graph().value(node.outputs[0]);
    const ValueId source = node.inputs[node.op->view_of()];
    if (value.role == Role::kState)
      fail("[program] expects what is kept to be made by a node, got '{}', a view of '{}'",
           value.name, graph().value(source).name);
    Location& view = locations_[node.outputs[0]];
    if (view.arena == Arena::kNone) view = operand(source);
  }

  Adds adds_of(const Node& node) const {
    if (node.accumulate) return Adds::kAlways;
    const bool of_gradient = std::ranges::any_of(node.outputs, [&](ValueId output) {
      return graph().value(output).role == Role::kGradient;
    });
    if (of_gradient) return Adds::kWithinLeaf;
    return options_.exact_sums ? Adds::kNever : Adds::kWithinStep;
  }

  // Of each micro-batch what its losses and metrics have come to.
  void sum_exactly(Segment& segment, NodeId id) {
    for (ValueId output : graph().node(id).outputs)
      if (const Location at = locations_[output]; at.arena == Arena::kControl)
        append_exact(segment, InstructionKind::kAddExactly, exact_sums_at(at.offset, 2));
  }

  void append_exact(Segment& segment, InstructionKind kind, const PlannedExactSum& sum) {
    segment.instructions.push_back(
        {.kind = kind, .index = static_cast<int32_t>(program_.exact_sums.size())});
    program_.exact_sums.push_back(sum);
  }

  void insert(Segment& segment, NodeId id, bool before) {
    const auto [first, end] = insertions_.equal_range(id);
    for (auto at = first; at != end; ++at)
      if (options_.insertions[at->second].before == before) append_insertion(segment, at->second);
  }

  void append_insertion(Segment& segment, size_t number) {
    const Insertion& insertion = options_.insertions[number];
    Instruction instruction{.last_of_leaf = insertion.last_of_leaf,
                            .last_micro_batch = insertion.last_micro_batch,
                            .stream = StreamRole::kData};
    const auto keep = [&](InstructionKind kind, auto& list, const auto& item) {
      instruction.kind = kind;
      instruction.index = static_cast<int32_t>(list.size());
      list.push_back(item);
    };
    if (const auto* wait = std::get_if<Insertion::Wait>(&insertion.what)) {
      instruction.kind = InstructionKind::kWait;
      instruction.index = inserted_.at(wait->insertion);
    } else if (const auto* call = std::get_if<PlannedCollective>(&insertion.what)) {
      keep(InstructionKind::kCollective, program_.collectives, *call);
      inserted_[number] = instruction.index;
    } else if (const auto* sum = std::get_if<PlannedAccumulation>(&insertion.what)) {
      keep(InstructionKind::kAccumulate, program_.accumulations, *sum);
    } else if (const auto* addition = std::get_if<PlannedAddition>(&insertion.what)) {
      keep(InstructionKind::kAdd, program_.additions, *addition);
    } else {
      keep(InstructionKind::kCarry, program_.carries, std::get<PlannedCarry>(insertion.what));
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

  void append_collective(Segment& segment, const PlannedCollective& collective) {
    const auto index = static_cast<int32_t>(program_.collectives.size());
    program_.collectives.push_back(collective);
    segment.instructions.push_back(
        {.kind = InstructionKind::kCollective, .index = index, .stream = StreamRole::kData});
  }

  void append_update() {
    program_.segments.push_back({.name = "update"});
    Segment& segment = program_.segments.back();
    zero_sums(segment);
    const PlannedExactSum control = exact_control(graph());
    if (options_.exact_sums)
      append_exact(segment, InstructionKind::kAddExactly,
                   exact_sums_at(program_.control_bytes - kVotes * size_of(DType::kF64), kVotes));
    const auto reduce = [&](const std::vector<PlannedCollective>& collectives, bool join) {
      for (const PlannedCollective& collective : collectives)
        append_collective(segment, collective);
      if (join)
        segment.instructions.push_back(
            {.kind = InstructionKind::kJoin, .stream = StreamRole::kData});
    };
    reduce(options_.after_backward,
           !options_.after_backward.empty() || !options_.insertions.empty());
    if (options_.exact_sums) append_exact(segment, InstructionKind::kRound, control);
    if (!options_.update) return;
    segment.instructions.push_back({.kind = InstructionKind::kNorm});
    if (options_.norm_reduction) reduce({*options_.norm_reduction}, true);
    if (options_.exact_sums) append_exact(segment, InstructionKind::kRound, exact_norm(graph()));
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
          if (options_.exact_sums)
            program_.zeroed.push_back({exact_sums_at(at, 2).sums, 2 * kExactBytes});
          else
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
    const int leaf = program_.leaf_micro_batches;
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
           .opens_slot = is_first_of_chunk(turn.segment),
           .leaf = turn.micro_batch / leaf,
           .first_of_leaf = turn.micro_batch % leaf == 0,
           .last_of_leaf = turn.micro_batch % leaf == leaf - 1});
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

PlannedExactSum exact_control(const Graph& graph) {
  return exact_sums_at(0, control_elements(graph));
}

PlannedExactSum exact_norm(const Graph& graph) {
  return {.values = {Arena::kNorm, 0},
          .sums = {Arena::kExact, control_elements(graph) * kExactBytes},
          .count = 1};
}

}  // namespace trireme::core
