#include "tests/support/graph_run.h"

#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/program/program.h"
#include "core/random/initializer.h"
#include "core/random/philox.h"
#include "core/runtime/step_state.h"

namespace trireme::test {
namespace {

using core::Graph;
using core::kNoValue;
using core::Node;
using core::Role;
using core::Value;
using core::ValueId;

class GraphRun {
 public:
  GraphRun(const Graph& graph, const GraphFeeds& feeds, comm::Communicator* group)
      : graph_(graph), feeds_(feeds), group_(group), memory_(graph.values().size()) {}

  GraphValues run() {
    for (ValueId id = 0; id < static_cast<ValueId>(memory_.size()); ++id) begin(id);
    for (const Node& node : graph_.nodes()) run_node(node);
    GraphValues values;
    for (ValueId id = 0; id < static_cast<ValueId>(memory_.size()); ++id)
      values[graph_.value(id).name] = as_doubles(id);
    return values;
  }

 private:
  void begin(ValueId id) {
    const Value& value = graph_.value(id);
    memory_[id].resize(static_cast<size_t>((value.type.bytes() + 63) / 64 + 1));
    if (value.role == Role::kParameter) draw(id, value);
    if (value.role != Role::kInput) return;
    if (value.type.dtype == core::DType::kF32)
      copy_in(id, feeds_.floats.at(value.name).data());
    else
      copy_in(id, feeds_.integers.at(value.name).data());
  }

  void copy_in(ValueId id, const void* from) {
    std::memcpy(at(id), from, static_cast<size_t>(graph_.type(id).bytes()));
  }

  void draw(ValueId id, const Value& value) {
    const std::span all(static_cast<float*>(at(id)), static_cast<size_t>(value.type.elements()));
    const uint64_t key = core::random_key(feeds_.seed, "init", value.name);
    core::for_each_run(value.slice, value.type.shape, [&](int64_t from, int64_t to, int64_t count) {
      core::fill(value.init, key, from, all.subspan(to, count));
    });
  }

  void* at(ValueId id) { return id == kNoValue ? nullptr : memory_[id].data(); }

  void run_node(const Node& node) {
    if (node.op->view_of() >= 0) {
      copy_in(node.outputs[0], at(node.inputs[node.op->view_of()]));
    } else if (node.op->exchange() != nullptr) {
      core::CollectiveCall call = core::exchange_call(graph_, node);
      call.send = at(node.inputs[0]);
      call.recv = at(node.outputs[0]);
      group_->enqueue(call, {});
    } else {
      run_kernel(node);
    }
  }

  void run_kernel(const Node& node) {
    const std::vector<core::ValueType> in = graph_.input_types(node),
                                       out = graph_.output_types(node);
    const core::NodeTypes types{in, out};
    const auto kernel = node.op->cpu_kernel(types, {.seed = feeds_.seed, .threads = 1});
    const auto cpu = core::DeviceKind::kCpu;
    Memory workspace(static_cast<size_t>(node.op->workspace_cap(types, cpu) / 64 + 1));
    Memory prepared(static_cast<size_t>(node.op->prepared_cap(types, cpu) / 64 + 1));
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (ValueId id : node.inputs) inputs.push_back(at(id));
    for (ValueId id : node.outputs) outputs.push_back(at(id));
    const core::StepState step{};
    const core::KernelArgs args{.inputs = inputs.data(),
                                .outputs = outputs.data(),
                                .workspace = workspace.data(),
                                .prepared = prepared.data(),
                                .step = &step,
                                .accumulate = node.accumulate};
    kernel->prepare(args);
    kernel->run(args);
  }

  std::vector<double> as_doubles(ValueId id) {
    const core::ValueType& type = graph_.type(id);
    const auto read = [&]<typename T>(const T* from) {
      return std::vector<double>(from, from + type.elements());
    };
    if (type.dtype == core::DType::kF32) return read(static_cast<const float*>(at(id)));
    if (type.dtype == core::DType::kF64) return read(static_cast<const double*>(at(id)));
    return {};
  }

  struct alignas(64) Line {
    std::byte bytes[64];
  };
  using Memory = std::vector<Line>;

  const Graph& graph_;
  const GraphFeeds& feeds_;
  comm::Communicator* group_;
  std::vector<Memory> memory_;  // by value
};

}  // namespace

GraphValues run_graph(const Graph& graph, const GraphFeeds& feeds, comm::Communicator* group) {
  return GraphRun(graph, feeds, group).run();
}

}  // namespace trireme::test
