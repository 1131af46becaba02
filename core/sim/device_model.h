// How long things take on a device that need not be here: rates, links and memory, as plain values.
//
// Three sources, the first that knows wins: nodes that `trireme doctor --measure` timed on the
// machine itself, rates that it fitted, and data sheets with the share of them that programs reach.
#pragma once

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/op.h"
#include "core/runtime/transport.h"

namespace trireme::core {

// A transfer of b bytes takes latency_seconds + b / bytes_per_second, in one direction.
struct LinkModel {
  double latency_seconds = 0;
  double bytes_per_second = 0;
};

// Floating-point operations a second with operands of one type.
struct ArithmeticModel {
  double peak = 0;     // what MFU is a share of
  double reached = 0;  // by large products
};

// A node that was timed.
struct OpSample {
  int64_t flops = 0, bytes = 0;  // its Cost
  double seconds = 0;
};

struct DeviceModel {
  std::string name;    // "h100"
  std::string source;  // where the figures come from
  DeviceKind kind = DeviceKind::kCpu;
  int64_t memory_bytes = 0;   // of one rank; 0: not known, everything fits
  int64_t outside_bytes = 0;  // context, communication and libraries' own, an estimate
  // What is left for arenas; 0: not known.
  int64_t arena_bytes() const {
    return memory_bytes == 0 ? 0 : std::max<int64_t>(memory_bytes - outside_bytes, 1);
  }
  ArithmeticModel f32, half;    // half: bf16 and f16 with f32 sums; peak 0: taken for f32's
  double bytes_per_second = 0;  // of memory, read and written
  double op_seconds = 0;        // to start one kernel
  int ranks_per_node = 1;
  LinkModel inside, between;  // links of one rank, within and between nodes
  // Of sends and receives within a node, if they have one of their own: on CPUs the sender computes
  // meanwhile, and its comm thread moves a message only now and then.
  LinkModel messages;
  // The share of a transfer that computing does not feel. CPUs without a core to spare for
  // communication have 0: what the comm thread copies and adds, the compute thread waits for.
  double hidden_share = 1;
  std::map<std::string, std::vector<OpSample>, std::less<>> ops;  // by Op::type()

  // Of products whose operands are of the type.
  const ArithmeticModel& arithmetic(DType dtype) const;
};

// Devices known by name, and the one called `name` (in any case). Throws InvalidArgument that lists
// them if there is none.
std::span<const DeviceModel> known_devices();
const DeviceModel& find_device(std::string_view name);

// Seconds of work of one type: of the samples of the type, weighted by how near they are in flops
// and bytes (as logarithms), else op_seconds + max(flops / rate, bytes / bandwidth).
double work_seconds(const DeviceModel& device, std::string_view type, const Cost& cost,
                    DType dtype = DType::kF32);
// The same of a node; 0 for views.
double node_seconds(const DeviceModel& device, const Op& op, const NodeTypes& types);

// A group as a link sees it.
struct GroupShape {
  int members = 1;
  int nodes = 1;  // that its members lie on, as many on each
};

// Seconds of a transfer once all members have come. `bytes` is what CollectiveCall::count counts.
// n members, the slowest link's bandwidth B, latency L, rings and trees:
//   all_reduce                     2 (n-1)/n bytes / B + 2 ceil(log2 n) L
//   reduce_scatter, all_gather     (n-1) bytes / B + ceil(log2 n) L
//   all_to_all                     (n-1) bytes / B + (n-1) L
//   broadcast                      bytes / B + ceil(log2 n) L
//   send, recv                     bytes / B + L, within a node of DeviceModel::messages
// Between nodes a group has the network links of all its members on a node.
double transfer_seconds(const DeviceModel& device, CollectiveKind kind, int64_t bytes,
                        const GroupShape& group);

}  // namespace trireme::core
