#include "core/program/program.h"

#include "core/base/error.h"

namespace trireme::core {
namespace {

std::string describe(const Transfer& transfer) {
  return fmt::format("{} of {}", transfer.receive ? "recv" : "send", transfer.what);
}

}  // namespace

std::string_view name_of(CollectiveKind kind) {
  constexpr std::string_view kNames[] = {"all_reduce", "reduce_scatter", "all_gather", "broadcast",
                                         "all_to_all", "send",           "recv"};
  return kNames[static_cast<int>(kind)];
}

StreamRole stream_of(const Transfer& transfer) {
  if (transfer.down) return transfer.receive ? StreamRole::kReceiveDown : StreamRole::kSendDown;
  return transfer.receive ? StreamRole::kReceiveUp : StreamRole::kSendUp;
}

CollectiveCall exchange_call(const Graph& graph, const Node& node) {
  const Exchange& exchange = *node.op->exchange();
  const bool known = exchange.kind == CollectiveKind::kAllReduce ||
                     exchange.kind == CollectiveKind::kReduceScatter ||
                     exchange.kind == CollectiveKind::kAllGather;
  if (!known)
    fail("[exchange] expects an all_reduce, a reduce_scatter or an all_gather, got the {} '{}'",
         name_of(exchange.kind), node.name);
  const bool counts_sent = exchange.kind == CollectiveKind::kAllGather;
  const ValueType& counted = graph.type(counts_sent ? node.inputs[0] : node.outputs[0]);
  return {.kind = exchange.kind,
          .op = exchange.op,
          .dtype = counted.dtype,
          .group = exchange.group,
          .count = counted.elements(),
          .what = node.name.c_str()};
}

std::string describe(const Program& program, const Segment& segment, int pc) {
  const Instruction& instruction = segment.instructions[pc];
  switch (instruction.kind) {
    case InstructionKind::kKernel:
      return program.graph.node(instruction.index).name;
    case InstructionKind::kPrepare:
      return fmt::format("prepare of {}", program.graph.node(instruction.index).name);
    case InstructionKind::kExchange: {
      const Node& node = program.graph.node(instruction.index);
      return fmt::format("{} of {}", name_of(node.op->exchange()->kind), node.name);
    }
    case InstructionKind::kTransfer:
      return describe(program.transfers[instruction.index]);
    case InstructionKind::kCollective: {
      const PlannedCollective& collective = program.collectives[instruction.index];
      return fmt::format("{} of {}", name_of(collective.kind), collective.what);
    }
    case InstructionKind::kJoin:
      return "wait for the other ranks";
    case InstructionKind::kWait:
      return fmt::format("wait for {}", program.collectives[instruction.index].what);
    case InstructionKind::kAccumulate:
      return "accumulation of gradients";
    case InstructionKind::kAdd:
      return "addition of ranks' gradients";
    case InstructionKind::kCarry:
      return "addition of leaves' gradients";
    case InstructionKind::kAddExactly:
    case InstructionKind::kRound:
      return "exact sums";
    case InstructionKind::kZero:
      return "clearing of the sums";
    case InstructionKind::kNorm:
      return "gradient norm";
    case InstructionKind::kControl:
      return "step control";
    case InstructionKind::kUpdate:
      return "optimizer update";
  }
  return "?";
}

int64_t flops(const Graph& graph) {
  int64_t total = 0;
  for (const Node& node : graph.nodes()) {
    const std::vector<ValueType> inputs = graph.input_types(node);
    const std::vector<ValueType> outputs = graph.output_types(node);
    total += node.op->cost({inputs, outputs}).flops;
  }
  return total;
}

}  // namespace trireme::core
