// What this machine does, measured: the device model that `plan --device FILE` reads.
#pragma once

#include <functional>
#include <string>

#include "comm/communicator.h"
#include "core/graph/graph.h"
#include "core/runtime/device.h"
#include "core/sim/device_model.h"

namespace trireme::launcher {

// Runs every node of the differentiated graph in turn on arrays of their own, several times, and
// appends the median of each to `model.ops`; "prepare" for what kernels prepare. Inputs are random,
// integer inputs 0. Stops after about `seconds`.
void time_nodes(const core::Graph& graph, core::Device& device, double seconds,
                core::DeviceModel& model);

// "update" and "norm", at a few sizes.
void time_updates(core::Device& device, core::DeviceModel& model);

// Latency and bandwidth of all_reduce over the group, as core::transfer_seconds reads them.
// Collective. A group of one leaves the link as it is.
core::LinkModel time_links(comm::Communicator& group, const core::LinkModel& otherwise);

// The same of messages between neighbours, from when both ends have come until the receiver has it.
// The sender computes meanwhile, as stages of a pipeline do; the slower counts of a receiver that
// came first and one that came late. Collective. Of a group of one: none.
core::LinkModel time_messages(comm::Communicator& group, core::Device& device);

// All of it, about half a minute: reference networks of several sizes, updates, links. Collective:
// every rank computes at the same time, as in a run. `progress` is told what comes next.
core::DeviceModel measure_machine(core::Device& device, comm::Communicator& group,
                                  const std::function<void(const std::string&)>& progress);

}  // namespace trireme::launcher
