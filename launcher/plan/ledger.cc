#include "launcher/plan/ledger.h"

#include <algorithm>

#include "core/runtime/state_size.h"

namespace trireme::launcher {
namespace {

using core::Program;

int64_t larger(const core::SessionPlan& plan, int64_t Program::*bytes) {
  return std::max(plan.train.*bytes, plan.eval ? (*plan.eval).*bytes : int64_t{0});
}

// Copies of the batches: two at least on a GPU, where one travels while the other is read.
int64_t input_bytes(const Program& program, core::DeviceKind device) {
  const bool on_gpu = device == core::DeviceKind::kCuda;
  if (!on_gpu && program.input_sets == 1) return 0;  // read where the loader has put them
  int64_t bytes = 0;
  for (size_t i = 0; i < program.inputs.size(); ++i)
    if (program.input_used[i]) bytes += program.graph.type(program.inputs[i]).bytes();
  return bytes * (on_gpu ? std::max(program.input_sets, 2) : program.input_sets);
}

}  // namespace

int64_t Ledger::total() const {
  int64_t sum = 0;
  for (const LedgerLine& line : lines) sum += line.bytes;
  return sum;
}

Ledger ledger_of(const core::SessionPlan& plan, core::DeviceKind device) {
  const int64_t f32 = core::size_of(core::DType::kF32);
  int64_t moments = 0;
  for (int i = 0; i < core::moment_count(plan.optimizer); ++i)
    moments += core::state_elements(plan.layout, plan.sharding, core::StateBuffer::kMoment1);
  const auto state = [&](core::StateBuffer buffer) {
    return core::state_elements(plan.layout, plan.sharding, buffer) * f32;
  };
  int64_t prepared = plan.train.prepared_bytes, inputs = input_bytes(plan.train, device);
  if (plan.eval) {
    prepared += plan.eval->prepared_bytes;
    inputs += input_bytes(*plan.eval, device);
  }
  const int64_t exact = larger(plan, &Program::exact_bytes);
  Ledger ledger{{{"parameters", state(core::StateBuffer::kParameters)},
                 {"gradients", state(core::StateBuffer::kGradients)},
                 {"moments", moments * f32},
                 {"gathered parameters", larger(plan, &Program::gathered_bytes)},
                 {"prepared forms", prepared},
                 {"activations", larger(plan, &Program::slot_bytes)},
                 {"scratch", larger(plan, &Program::scratch_bytes)},
                 {"control", larger(plan, &Program::control_bytes) + exact},
                 {"batches", inputs}}};
  if (exact > 0)  // train.determinism LAYOUT
    ledger.lines.insert(ledger.lines.begin() + 2,
                        {"tree of leaves", larger(plan, &Program::leaf_bytes)});
  return ledger;
}

}  // namespace trireme::launcher
