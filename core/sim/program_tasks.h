// A program as tasks of the simulator, in the order in which the executor issues them.
//
// Kernels between two communications are one task. What the executor's host waits for, the compute
// stream waits for here: on a CPU they are the same thread.
#pragma once

#include <vector>

#include "core/program/program.h"
#include "core/sim/call_script.h"
#include "core/sim/device_model.h"
#include "core/sim/simulator.h"

namespace trireme::core {

// `updated` elements with `moments` moments each and perhaps an average, `normed` in the norm.
struct UpdateSize {
  int64_t updated = 0, normed = 0;
  int moments = 0;
  bool averaged = false;
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

// Whether collectives that are waited for at once, among ranks that one stands for, are tasks of
// their own or a part of the computing around them: a tenth of the tasks, where the tensor axis is
// cut.
enum class TaskDetail : uint8_t { kParts, kWhole };

// One run, `prepare` at its end. `groups` by group number; those that the script names have a
// group. Where `device` is null transfers take no time and only the order counts.
ProgramTasks tasks_of(const CallScript& script, const std::vector<GroupView>& groups,
                      const DeviceModel* device = nullptr, TaskDetail detail = TaskDetail::kParts);

}  // namespace trireme::core
