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
  TaskWriter(const CallScript& script, const std::vector<GroupView>& groups,
             const DeviceModel* device, TaskDetail detail)
      : script_(script),
        groups_(groups),
        device_(device),
        detail_(detail),
        issued_(script.calls.size(), -1),
        sent_(script.slots, {-1, -1}) {}

  ProgramTasks run() {
    for (size_t i = 0; i < script_.schedule.size(); ++i) {
      const ScriptEntry& entry = script_.schedule[i];
      at_ = {static_cast<int32_t>(i), 0};
      if (entry.opens_slot) open_slot(entry.slot);
      run_segment(script_.segments.at(entry.segment), entry);
    }
    at_ = {static_cast<int32_t>(script_.schedule.size()), 0};
    run_segment(script_.prepare, {.last = true});
    return std::move(written_);
  }

 private:
  // What the slot held before has left it.
  void open_slot(int slot) {
    for (int32_t& send : sent_.at(slot)) wait_for(std::exchange(send, -1));
  }

  void run_segment(const ScriptSegment& segment, const ScriptEntry& entry) {
    open_ = false;  // tasks do not reach across entries of the schedule
    for (size_t i = 0; i < segment.steps.size(); ++i) {
      const ScriptStep& step = segment.steps[i];
      if (!runs(step, entry)) continue;
      at_.pc = step.pc;
      if (i + 1 < segment.steps.size() && is_waited_for(step, segment.steps[i + 1])) {
        expose(script_.calls[step.call]);
        ++i;
        continue;
      }
      switch (step.kind) {
        case ScriptStep::Kind::kCompute:
          compute(step.seconds);
          break;
        case ScriptStep::Kind::kCall:
          call(script_.calls.at(step.call));
          issued_[step.call] = last_task();
          note_send(script_.calls[step.call], entry.slot);
          break;
        case ScriptStep::Kind::kWait:
          wait_for(issued_.at(step.call));
          break;
        case ScriptStep::Kind::kJoin:
          join(bit(step.stream));
          break;
      }
    }
  }

  // Whether nothing but the call itself keeps computing, and nobody else is simulated in its group.
  bool is_waited_for(const ScriptStep& step, const ScriptStep& next) const {
    if (detail_ == TaskDetail::kParts || step.kind != ScriptStep::Kind::kCall ||
        next.kind != ScriptStep::Kind::kJoin)
      return false;
    const ScriptCall& call = script_.calls.at(step.call);
    const std::vector<int>& ranks = groups_.at(call.group).ranks;
    return !call.is_message() && call.stream == next.stream &&
           !busy_[static_cast<int>(next.stream)] &&
           std::ranges::all_of(ranks, [&](int rank) { return rank == ranks[0]; });
  }

  void expose(const ScriptCall& call) {
    if (!device_) return;
    const double seconds = seconds_of(call, groups_[call.group]);
    if (!open_) append({.stream = kComputeStream});
    written_.tasks.back().seconds += seconds;
    written_.tasks.back().exposed += seconds;
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
      if (streams & stream_bit(stream)) {
        owed_[stream] = 0;
        busy_[stream] = false;
      }
  }

  int32_t last_task() const { return static_cast<int32_t>(written_.tasks.size()) - 1; }

  void wait_for(int32_t task) {
    if (task >= 0) append({.stream = kComputeStream, .after = task});
  }

  void note_send(const ScriptCall& call, int slot) {
    if (call.kind == CollectiveKind::kSend)
      sent_.at(slot)[call.stream == StreamRole::kSendDown ? 0 : 1] = last_task();
  }

  void call(const ScriptCall& call) {
    const GroupView& group = groups_.at(call.group);
    const bool message = call.is_message();
    SimTask task{.kind = SimTask::Kind::kCollective,
                 .stream = static_cast<uint8_t>(call.stream),
                 .waits = bit(StreamRole::kCompute),
                 .group = group.group};
    if (message) {
      task.kind = call.kind == CollectiveKind::kSend ? SimTask::Kind::kSend : SimTask::Kind::kRecv;
      task.peer = group.ranks.at(call.peer);
    }
    busy_[task.stream] = true;
    if (device_) {
      task.seconds = seconds_of(call, group);
      owed_[task.stream] += (1 - device_->hidden_share) * task.seconds;
    }
    append(task);
  }

  double seconds_of(const ScriptCall& call, const GroupView& group) const {
    const GroupShape shape =
        call.is_message() ? GroupShape{2, group.nodes.at(call.peer)} : group.shape;
    return transfer_seconds(*device_, call.kind, call.bytes(), shape);
  }

  const CallScript& script_;
  const std::vector<GroupView>& groups_;
  const DeviceModel* device_;
  const TaskDetail detail_;
  ProgramTasks written_;
  std::vector<int32_t> issued_;               // by call: the task that it was last
  std::vector<std::array<int32_t, 2>> sent_;  // by slot: its last sends, down and up; -1: none
  ProgramPlace at_;
  bool open_ = false;  // the last task is computing that may be gone on with
  std::array<double, kSimStreams> owed_{};
  std::array<bool, kSimStreams> busy_{};  // with calls that have not been waited for
};

}  // namespace

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
  const int touched = 3 + 2 * size.moments + (size.averaged ? 3 : 0);  // f32 of each element
  seconds.update = work_seconds(device, "update", {.bytes = size.updated * f32 * touched});
  return seconds;
}

ProgramTasks tasks_of(const CallScript& script, const std::vector<GroupView>& groups,
                      const DeviceModel* device, TaskDetail detail) {
  return TaskWriter(script, groups, device, detail).run();
}

}  // namespace trireme::core
