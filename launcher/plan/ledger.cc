#include "launcher/plan/ledger.h"

#include <algorithm>

#include "core/runtime/state_size.h"
#include "launcher/data/loader.h"
#include "parallel/calls.h"

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

int members_of(const parallel::Mesh& mesh, int group) {
  if (group == parallel::kWorldGroup) return mesh.world();
  if (group == parallel::kDataGroup) return mesh.size(parallel::Axis::kData);
  if (group == parallel::kTensorGroup) return mesh.size(parallel::Axis::kTensor);
  return mesh.size(parallel::Axis::kPipeline);
}

int64_t reduction_bytes(const core::SessionPlan& plan, const parallel::Mesh& mesh) {
  int64_t largest = 0, result = 0;
  const auto look_at = [&](const core::CallScript& script) {
    for (const core::ScriptCall& call : script.calls) {
      const int members = members_of(mesh, call.group);
      if (members == 1) continue;
      if (call.kind == core::CollectiveKind::kAllReduce) largest = std::max(largest, call.bytes());
      if (call.kind != core::CollectiveKind::kReduceScatter) continue;
      largest = std::max(largest, members * call.bytes());
      result = std::max(result, call.bytes());
    }
  };
  const parallel::RankScripts scripts = parallel::scripts_of(plan);
  look_at(scripts.train);
  if (scripts.eval) look_at(*scripts.eval);
  return largest + result;
}

}  // namespace

int64_t Ledger::total() const {
  int64_t sum = 0;
  for (const LedgerLine& line : lines) sum += line.bytes;
  return sum;
}

Ledger ledger_of(const core::SessionPlan& plan, core::DeviceKind device) {
  const int64_t f32 = core::size_of(core::DType::kF32);
  const auto state = [&](core::StateBuffer buffer) {
    return core::state_elements(plan.layout, plan.sharding, buffer) * f32;
  };
  int64_t prepared = plan.train.prepared_bytes, inputs = input_bytes(plan.train, device);
  if (plan.eval) {
    prepared += plan.eval->prepared_bytes;
    inputs += input_bytes(*plan.eval, device);
  }
  const int64_t exact = larger(plan, &Program::exact_bytes);
  Ledger ledger{
      {{"parameters", state(core::StateBuffer::kParameters)},
       {"gradients", state(core::StateBuffer::kGradients)},
       {"moments", core::moment_count(plan.optimizer) * state(core::StateBuffer::kMoment1)},
       {"gathered parameters", larger(plan, &Program::gathered_bytes)},
       {"prepared forms", prepared},
       {"activations", larger(plan, &Program::slot_bytes)},
       {"scratch", larger(plan, &Program::scratch_bytes)},
       {"control", larger(plan, &Program::control_bytes) + exact},
       {"batches", inputs}}};
  if (plan.average)
    ledger.lines.insert(ledger.lines.begin() + 3,
                        {"moving average", state(core::StateBuffer::kAverage)});
  if (exact > 0)  // train.determinism LAYOUT
    ledger.lines.insert(ledger.lines.begin() + 2,
                        {"tree of leaves", larger(plan, &Program::leaf_bytes)});
  return ledger;
}

Ledger host_ledger_of(const core::SessionPlan& plan, const parallel::Mesh& mesh,
                      core::DeviceKind device) {
  const auto batch_bytes = [](const Program& program) {
    int64_t bytes = 0;
    for (core::ValueId id : program.inputs) bytes += program.graph.type(id).bytes();
    return bytes;
  };
  const int64_t batches = batch_bytes(plan.train) + (plan.eval ? batch_bytes(*plan.eval) : 0);
  int64_t state = 0;
  for (const core::FlatParameter& parameter : plan.layout.parameters)
    state += parameter.elements * (1 + (parameter.trained ? std::ssize(plan.kept()) : 0));
  const int data_ranks = mesh.size(parallel::Axis::kData);
  return {{{"batches read ahead", Loader::kBuffers * batches},
           {"copy to be saved", state * core::size_of(core::DType::kF32) / data_ranks},
           {"reductions", device == core::DeviceKind::kCpu ? reduction_bytes(plan, mesh) : 0}}};
}

}  // namespace trireme::launcher
