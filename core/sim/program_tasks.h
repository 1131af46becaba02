// A program as tasks of the simulator, in the order in which the executor issues them.
//
// Kernels between two communications are one task. What the executor's host waits for, the compute
// stream waits for here: on a CPU they are the same thread.
#pragma once

#include <functional>
#include <vector>

#include "core/program/program.h"
#include "core/sim/device_model.h"
#include "core/sim/simulator.h"

namespace trireme::core {

// What a communication of a program asks for; equal on all members, but for `peer`.
struct ProgramCall {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  ReduceOp op = ReduceOp::kSum;
  DType dtype = DType::kF32;
  int group = 0;
  int peer = 0;  // of a send or receive: its number in the group
  int64_t count = 0;
  StreamRole stream = StreamRole::kData;

  int64_t bytes() const { return count * size_of(dtype); }
};

// Where a task begins in its program: an instruction of an entry of the schedule. The entry after
// the last is `prepare`.
struct ProgramPlace {
  int entry = 0;
  int pc = 0;
};
// "forward of micro-batch 3, block2/attention/out"
std::string describe(const Program& program, ProgramPlace place);

// What the instruction asks of the transport. Only for exchanges, transfers and collectives.
ProgramCall call_of(const Program& program, const Instruction& instruction);
bool is_call(const Instruction& instruction);

// Calls `use` for every call of one run of the program, in order.
void for_each_call(const Program& program,
                   const std::function<void(const ProgramCall&, ProgramPlace)>& use);

// Seconds of everything that is not a call.
struct ProgramSeconds {
  std::vector<double> nodes;     // by node, of one micro-batch
  std::vector<double> prepares;  // by node
  std::vector<double> accumulations, additions, carries;
  double norm = 0, control = 0, update = 0;
};

// `updated` elements with `moments` moments each, `normed` elements in the norm.
struct UpdateSize {
  int64_t updated = 0, normed = 0;
  int moments = 0;
};
ProgramSeconds seconds_of(const Program& program, const UpdateSize& size,
                          const DeviceModel& device);

// How one rank sees a group.
struct GroupView {
  int group = -1;          // in SimWorld::groups
  GroupShape shape;        // as a device's links see it
  std::vector<int> ranks;  // the simulated rank that stands for each member, for messages
  std::vector<int> nodes;  // that a message to each member lies on: 1 or 2
};

struct ProgramTasks {
  std::vector<SimTask> tasks;  // label: the task's place in `places`
  std::vector<ProgramPlace> places;
};

// One run of the program, `prepare` at its end if it updates. `groups` by group number. Where
// `seconds` and `device` are null nothing takes time and only the order counts. Waits for one
// collective are for all of its stream's on a GPU, as the executor has it.
ProgramTasks tasks_of(const Program& program, const std::vector<GroupView>& groups,
                      const ProgramSeconds* seconds = nullptr, const DeviceModel* device = nullptr);

}  // namespace trireme::core
