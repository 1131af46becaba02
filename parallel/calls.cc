#include "parallel/calls.h"

#include <algorithm>

namespace trireme::parallel {
namespace {

using core::CollectiveCall;
using core::CollectiveKind;
using core::Instruction;
using core::InstructionKind;
using core::Program;

CollectiveCall call_of(const core::PlannedCollective& planned) {
  return {.kind = planned.kind,
          .op = planned.op,
          .dtype = planned.dtype,
          .group = planned.group,
          .count = planned.count,
          .what = planned.what.c_str()};
}

CollectiveCall call_of(const Program& program, const core::Transfer& transfer) {
  const core::ValueType& type = program.graph.type(transfer.value);
  return {.kind = transfer.receive ? CollectiveKind::kRecv : CollectiveKind::kSend,
          .dtype = type.dtype,
          .group = transfer.group,
          .peer = transfer.peer,
          .count = type.elements(),
          .what = transfer.what.c_str()};
}

CollectiveCall call_of(const Program& program, const core::Node& node) {
  const core::Exchange& exchange = *node.op->exchange();
  const bool counts_sent = exchange.kind == CollectiveKind::kAllGather;
  const core::ValueType& type = program.graph.type(counts_sent ? node.inputs[0] : node.outputs[0]);
  return {.kind = exchange.kind,
          .op = exchange.op,
          .dtype = type.dtype,
          .group = exchange.group,
          .count = type.elements(),
          .what = node.name.c_str()};
}

void append(const Program& program, const Instruction& instruction,
            std::vector<CollectiveCall>& calls) {
  if (instruction.kind == InstructionKind::kCollective)
    calls.push_back(call_of(program.collectives[instruction.index]));
  if (instruction.kind == InstructionKind::kTransfer)
    calls.push_back(call_of(program, program.transfers[instruction.index]));
  if (instruction.kind == InstructionKind::kExchange)
    calls.push_back(call_of(program, program.graph.node(instruction.index)));
}

void append(const Program& program, std::vector<CollectiveCall>& calls) {
  for (const core::ScheduleEntry& entry : program.schedule)
    for (const Instruction& instruction : program.segments[entry.segment].instructions)
      if (runs(instruction, entry)) append(program, instruction, calls);
}

}  // namespace

std::vector<CollectiveCall> collectives(const core::SessionPlan& plan) {
  std::vector<CollectiveCall> calls;
  append(plan.train, calls);
  if (plan.eval) append(*plan.eval, calls);
  return calls;
}

bool uses(const core::SessionPlan& plan, Group group) {
  const std::vector<CollectiveCall> calls = collectives(plan);
  return std::ranges::any_of(calls,
                             [&](const CollectiveCall& call) { return call.group == group; });
}

}  // namespace trireme::parallel
