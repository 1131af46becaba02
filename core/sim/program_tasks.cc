#include "core/sim/program_tasks.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.h"

namespace trireme::core {
namespace {

constexpr int kComputeStream = static_cast<int>(StreamRole::kCompute);

uint16_t bit(StreamRole role) { return stream_bit(static_cast<int>(role)); }

// Appends tasks as the executor would issue them.
class TaskWriter {
 public:
  TaskWriter(const Program& program, const std::vector<GroupView>& groups,
             const ProgramSeconds* seconds, const DeviceModel* device)
      : program_(program),
        groups_(groups),
        seconds_(seconds),
        device_(device),
        issued_(program.collectives.size(), -1),
        sent_(std::max(1, program.slots), {-1, -1}) {}

  ProgramTasks run() {
    bool updates = false;
    for (size_t i = 0; i < program_.schedule.size(); ++i) {
      const ScheduleEntry& entry = program_.schedule[i];
      at_ = {static_cast<int>(i), 0};
      if (entry.opens_slot) open_slot(entry.slot);
      run_segment(program_.segments[entry.segment], entry);
      for (const Instruction& instruction : program_.segments[entry.segment].instructions)
        updates |= instruction.kind == InstructionKind::kUpdate;
    }
    at_ = {static_cast<int>(program_.schedule.size()), 0};
    if (updates) run_segment(program_.prepare, {});
    return std::move(written_);
  }

 private:
  // What the slot held before has left it.
  void open_slot(int slot) {
    for (int32_t& send : sent_[slot]) wait_for(std::exchange(send, -1));
  }

  void run_segment(const Segment& segment, const ScheduleEntry& entry) {
    open_ = false;  // tasks do not reach across entries of the schedule
    for (size_t pc = 0; pc < segment.instructions.size(); ++pc) {
      const Instruction& instruction = segment.instructions[pc];
      if (!runs(instruction, entry)) continue;
      at_.pc = static_cast<int>(pc);
      if (is_call(instruction)) {
        call(call_of(program_, instruction));
        if (instruction.kind == InstructionKind::kCollective)
          issued_[instruction.index] = last_task();
        if (instruction.kind == InstructionKind::kTransfer)
          note_send(instruction.index, entry.slot);
        if (instruction.kind == InstructionKind::kExchange) join(bit(instruction.stream));
      } else if (instruction.kind == InstructionKind::kJoin) {
        join(bit(instruction.stream));
      } else if (instruction.kind == InstructionKind::kWait) {
        wait_for(issued_[instruction.index]);
      } else {
        compute(seconds_of(instruction));
      }
    }
  }

  double seconds_of(const Instruction& instruction) const {
    if (!seconds_) return 0;
    switch (instruction.kind) {
      case InstructionKind::kKernel:
        return seconds_->nodes[instruction.index];
      case InstructionKind::kPrepare:
        return seconds_->prepares[instruction.index];
      case InstructionKind::kAccumulate:
        return seconds_->accumulations[instruction.index];
      case InstructionKind::kAdd:
        return seconds_->additions[instruction.index];
      case InstructionKind::kCarry:
        return seconds_->carries[instruction.index];
      case InstructionKind::kNorm:
        return seconds_->norm;
      case InstructionKind::kControl:
        return seconds_->control;
      case InstructionKind::kUpdate:
        return seconds_->update;
      default:
        return 0;
    }
  }

  SimTask& append(SimTask task) {
    task.label = static_cast<int32_t>(written_.places.size());
    written_.places.push_back(at_);
    open_ = task.kind == SimTask::Kind::kCompute && task.waits == 0 && task.after < 0;
    return written_.tasks.emplace_back(task);
  }

  // Transfers that computing feels are paid for by the computing that follows them; what follows
  // none has been waited for in full.
  void compute(double seconds) {
    for (double& debt : owed_) {
      seconds += debt;
      debt = 0;
    }
    if (open_)
      written_.tasks.back().seconds += seconds;
    else
      append({.stream = kComputeStream, .seconds = seconds});
  }

  void join(uint16_t streams) {
    append({.stream = kComputeStream, .waits = streams});
    for (int stream = 0; stream < kSimStreams; ++stream)
      if (streams & stream_bit(stream)) owed_[stream] = 0;
  }

  int32_t last_task() const { return static_cast<int32_t>(written_.tasks.size()) - 1; }

  void wait_for(int32_t task) {
    if (task >= 0) append({.stream = kComputeStream, .after = task});
  }

  void note_send(int index, int slot) {
    const Transfer& transfer = program_.transfers[index];
    if (!transfer.receive) sent_[slot][transfer.down ? 0 : 1] = last_task();
  }

  void call(const ProgramCall& call) {
    const GroupView& group = groups_.at(call.group);
    const bool message = call.kind == CollectiveKind::kSend || call.kind == CollectiveKind::kRecv;
    SimTask task{.kind = SimTask::Kind::kCollective,
                 .stream = static_cast<uint8_t>(call.stream),
                 .waits = bit(StreamRole::kCompute),
                 .group = group.group};
    if (message) {
      task.kind = call.kind == CollectiveKind::kSend ? SimTask::Kind::kSend : SimTask::Kind::kRecv;
      task.peer = group.ranks.at(call.peer);
    }
    if (device_) {
      const GroupShape shape = message ? GroupShape{2, group.nodes.at(call.peer)} : group.shape;
      task.seconds = transfer_seconds(*device_, call.kind, call.bytes(), shape);
      owed_[task.stream] += (1 - device_->hidden_share) * task.seconds;
    }
    append(task);
  }

  const Program& program_;
  const std::vector<GroupView>& groups_;
  const ProgramSeconds* seconds_;
  const DeviceModel* device_;
  ProgramTasks written_;
  std::vector<int32_t> issued_;               // by collective: the task that started it last
  std::vector<std::array<int32_t, 2>> sent_;  // by slot: its last sends, down and up; -1: none
  ProgramPlace at_;
  bool open_ = false;  // the last task is computing that may be gone on with
  std::array<double, kSimStreams> owed_{};
};

}  // namespace

std::string describe(const Program& program, ProgramPlace place) {
  const auto entries = static_cast<int>(program.schedule.size());
  if (place.entry >= entries) return "prepare";
  const ScheduleEntry& entry = program.schedule[place.entry];
  const Segment& segment = program.segments[entry.segment];
  return fmt::format("{} of micro-batch {}, {}", segment.name, entry.micro_batch,
                     describe(program, segment, place.pc));
}

bool is_call(const Instruction& instruction) {
  return instruction.kind == InstructionKind::kExchange ||
         instruction.kind == InstructionKind::kTransfer ||
         instruction.kind == InstructionKind::kCollective;
}

ProgramCall call_of(const Program& program, const Instruction& instruction) {
  ensure(is_call(instruction), "an instruction that calls the transport");
  ProgramCall call{.stream = instruction.stream};
  if (instruction.kind == InstructionKind::kCollective) {
    const PlannedCollective& planned = program.collectives[instruction.index];
    call.kind = planned.kind;
    call.op = planned.op;
    call.dtype = planned.dtype;
    call.group = planned.group;
    call.count = planned.count;
  } else if (instruction.kind == InstructionKind::kTransfer) {
    const Transfer& transfer = program.transfers[instruction.index];
    const ValueType& type = program.graph.type(transfer.value);
    call.kind = transfer.receive ? CollectiveKind::kRecv : CollectiveKind::kSend;
    call.dtype = type.dtype;
    call.group = transfer.group;
    call.peer = transfer.peer;
    call.count = type.elements();
  } else {
    const Node& node = program.graph.node(instruction.index);
    const Exchange& exchange = *node.op->exchange();
    const bool sent = exchange.kind == CollectiveKind::kAllGather;
    const ValueType& counted = program.graph.type(sent ? node.inputs[0] : node.outputs[0]);
    call.kind = exchange.kind;
    call.op = exchange.op;
    call.dtype = counted.dtype;
    call.group = exchange.group;
    call.count = counted.elements();
  }
  return call;
}

void for_each_call(const Program& program,
                   const std::function<void(const ProgramCall&, ProgramPlace)>& use) {
  for (size_t i = 0; i < program.schedule.size(); ++i) {
    const ScheduleEntry& entry = program.schedule[i];
    const auto& instructions = program.segments[entry.segment].instructions;
    for (size_t pc = 0; pc < instructions.size(); ++pc)
      if (is_call(instructions[pc]) && runs(instructions[pc], entry))
        use(call_of(program, instructions[pc]), {static_cast<int>(i), static_cast<int>(pc)});
  }
}

ProgramSeconds seconds_of(const Program& program, const UpdateSize& size,
                          const DeviceModel& device) {
  const Graph& graph = program.graph;
  ProgramSeconds seconds;
  seconds.nodes.resize(graph.nodes().size());
  seconds.prepares.resize(graph.nodes().size());
  std::vector<bool> runs(graph.nodes().size());
  for (const Segment& segment : program.segments)
    for (const Instruction& instruction : segment.instructions)
      if (instruction.kind == InstructionKind::kKernel) runs[instruction.index] = true;
  for (size_t id = 0; id < runs.size(); ++id) {
    if (!runs[id]) continue;
    const Node& node = graph.node(static_cast<NodeId>(id));
    const std::vector<ValueType> inputs = graph.input_types(node);
    const std::vector<ValueType> outputs = graph.output_types(node);
    const NodeTypes types{inputs, outputs};
    seconds.nodes[id] = node_seconds(device, *node.op, types);
    const int64_t prepared = node.op->prepared_cap(types, device.kind);
    seconds.prepares[id] = work_seconds(device, "prepare", {.bytes = 2 * prepared});
  }
  const int64_t f32 = size_of(DType::kF32);
  const auto addition = [&](int64_t elements) {
    return work_seconds(device, "add", {.flops = elements, .bytes = 3 * elements * f32});
  };
  for (const PlannedAccumulation& planned : program.accumulations)
    seconds.accumulations.push_back(addition(planned.elements));
  for (const PlannedAddition& planned : program.additions)
    seconds.additions.push_back(addition(planned.elements));
  for (const PlannedCarry& planned : program.carries)  // n leaves: n - 1 additions, n copies
    seconds.carries.push_back(planned.levels.empty() ? 0 : 2 * addition(planned.elements));
  seconds.norm = work_seconds(device, "norm", {.bytes = size.normed * f32});
  seconds.control = device.op_seconds;
  seconds.update =
      work_seconds(device, "update", {.bytes = size.updated * f32 * (3 + 2 * size.moments)});
  return seconds;
}

ProgramTasks tasks_of(const Program& program, const std::vector<GroupView>& groups,
                      const ProgramSeconds* seconds, const DeviceModel* device) {
  return TaskWriter(program, groups, seconds, device).run();
}

}  // namespace trireme::core
