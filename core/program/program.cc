#include "core/program/program.h"

#include <fmt/format.h>

namespace trireme::core {

std::string describe(const Program& program, const Segment& segment, int pc) {
  const Instruction& instruction = segment.instructions[pc];
  switch (instruction.kind) {
    case InstructionKind::kKernel:
      return program.graph.node(instruction.index).name;
    case InstructionKind::kPrepare:
      return fmt::format("prepare of {}", program.graph.node(instruction.index).name);
    case InstructionKind::kCollective:
      return fmt::format("all_reduce of {}", program.collectives[instruction.index].what);
    case InstructionKind::kJoin:
      return "wait for the reductions";
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
