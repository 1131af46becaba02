#include "launcher/plan/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <thread>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/optim/optimizer.h"
#include "core/random/initializer.h"
#include "core/random/philox.h"
#include "models/model.h"

namespace trireme::launcher {
namespace {

using core::Buffer;
using core::StreamRole;

constexpr uint64_t kSeed = 1;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(values.size() / 2));
  return values[values.size() / 2];
}

template <typename Call>
double time_of(core::Device& device, const Call& call) {
  const double begin = seconds_now();
  call();
  device.synchronize(device.stream(StreamRole::kCompute));
  return seconds_now() - begin;
}

// A graph with an array for every value.
class TimedGraph {
 public:
  TimedGraph(const core::Graph& graph, core::Device& device)
      : graph_(graph), device_(device), step_(device, sizeof(core::StepState)) {
    for (const core::Value& value : graph.values()) {
      values_.emplace_back(device, value.producer == core::kNoNode || !is_view(value)
                                       ? value.type.bytes()
                                       : int64_t{0});
      pointers_.push_back(values_.back().data());
      if (value.type.dtype == core::DType::kF32 && value.producer == core::kNoNode) fill(value);
    }
    for (const core::Node& node : graph.nodes()) {
      if (node.op->view_of() >= 0)
        pointers_[node.outputs[0]] = pointers_[node.inputs[node.op->view_of()]];
      add_kernel(node);
    }
  }

  // Runs all nodes in turn and notes how long each took.
  void run() {
    for (Timed& timed : nodes_) {
      const core::KernelArgs args = timed.args();
      if (timed.prepared.bytes() > 0)
        timed.prepares.push_back(time_of(device_, [&] { timed.kernel->prepare(args); }));
      timed.runs.push_back(time_of(device_, [&] { timed.kernel->run(args); }));
    }
  }

  void append_to(core::DeviceModel& model) const {
    const double more = whole_over_parts();
    for (const Timed& timed : nodes_) {
      model.ops[std::string(timed.node->op->type())].push_back(
          {timed.cost.flops, timed.cost.bytes, more * median(timed.runs)});
      if (!timed.prepares.empty())
        model.ops["prepare"].push_back(
            {0, 2 * timed.prepared.bytes(), more * median(timed.prepares)});
    }
  }

 private:
  struct Timed {
    const core::Node* node = nullptr;
    core::Cost cost;
    std::unique_ptr<core::Kernel> kernel;
    Buffer workspace, prepared;
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    const core::StepState* step = nullptr;
    core::Stream stream;
    std::vector<double> runs, prepares;

    core::KernelArgs args() const {
      return {.inputs = inputs.data(),
              .outputs = outputs.data(),
              .workspace = workspace.data(),
              .prepared = prepared.data(),
              .step = step,
              .stream = stream};
    }
  };

  // The median of all nodes in turn over the sum of their medians. What disturbs a machine now and
  // then disturbs some node of every step, and no node in its median.
  double whole_over_parts() const {
    double parts = 0;
    std::vector<double> wholes(nodes_.front().runs.size());
    for (const Timed& timed : nodes_) {
      parts += median(timed.runs) + (timed.prepares.empty() ? 0 : median(timed.prepares));
      for (size_t i = 0; i < wholes.size(); ++i)
        wholes[i] += timed.runs[i] + (timed.prepares.empty() ? 0 : timed.prepares[i]);
    }
    return median(wholes) / parts;
  }

  bool is_view(const core::Value& value) const {
    return graph_.node(value.producer).op->view_of() >= 0;
  }

  void fill(const core::Value& value) {
    std::vector<float> numbers(static_cast<size_t>(value.type.elements()));
    const core::Init init =
        value.role == core::Role::kParameter ? value.init : core::Init::uniform(-1, 1);
    core::fill(init, core::random_key(kSeed, "measure", value.name), 0, numbers);
    const core::Stream compute = device_.stream(StreamRole::kCompute);
    device_.copy_in(pointers_.back(), numbers.data(), value.type.bytes(), compute);
    device_.synchronize(compute);
  }

  void add_kernel(const core::Node& node) {
    if (node.op->view_of() >= 0) return;
    const std::vector<core::ValueType> inputs = graph_.input_types(node);
    const std::vector<core::ValueType> outputs = graph_.output_types(node);
    const core::NodeTypes types{inputs, outputs};
    core::KernelContext context = device_.kernel_context();
    context.seed = kSeed;
    Timed timed{.node = &node,
                .cost = node.op->cost(types),
                .kernel = device_.kind() == core::DeviceKind::kCpu
                              ? node.op->cpu_kernel(types, context)
                              : node.op->cuda_kernel(types, context),
                .workspace = Buffer(device_, node.op->workspace_cap(types, device_.kind())),
                .prepared = Buffer(device_, node.op->prepared_cap(types, device_.kind())),
                .inputs = {},
                .outputs = {},
                .step = static_cast<const core::StepState*>(step_.data()),
                .stream = device_.stream(StreamRole::kCompute),
                .runs = {},
                .prepares = {}};
    for (core::ValueId id : node.inputs)
      timed.inputs.push_back(id == core::kNoValue ? nullptr : pointers_[id]);
    for (core::ValueId id : node.outputs) timed.outputs.push_back(pointers_[id]);
    nodes_.push_back(std::move(timed));
  }

  const core::Graph& graph_;
  core::Device& device_;
  Buffer step_;
  std::vector<Buffer> values_;
  std::vector<void*> pointers_;  // by value
  std::vector<Timed> nodes_;
};

struct Reference {
  std::string name;
  models::ModelOptions model;
  models::BuildRequest request;
};

models::BuildRequest text(int64_t batch, int64_t context, int64_t vocabulary) {
  return {.batch = batch,
          .sample = {context},
          .classes = vocabulary,
          .sample_type = core::DType::kI32,
          .labels = {context}};
}

void add_language(std::vector<Reference>& all) {
  struct Size {
    int64_t width, heads, context, batch, vocabulary;
  };
  for (const Size& size : {Size{64, 4, 32, 4, 256},
                           {192, 6, 64, 8, 256},
                           {384, 6, 256, 4, 96},
                           {768, 12, 256, 1, 8192}})
    all.push_back({fmt::format("gpt {} {}", size.width, size.context),
                   {.network = models::GptOptions{.layers = 1,
                                                  .width = size.width,
                                                  .heads = size.heads,
                                                  .context = size.context,
                                                  .vocabulary = size.vocabulary},
                    .place = {}},
                   text(size.batch, size.context, size.vocabulary)});
  for (const Size& size : {Size{64, 4, 32, 4, 256}, {256, 8, 128, 4, 256}})
    all.push_back({fmt::format("llama {} {}", size.width, size.context),
                   {.network = models::LlamaOptions{.layers = 1,
                                                    .width = size.width,
                                                    .heads = size.heads,
                                                    .kv_heads = size.heads / 2,
                                                    .hidden = 3 * size.width,
                                                    .context = size.context,
                                                    .vocabulary = size.vocabulary},
                    .place = {}},
                   text(size.batch, size.context, size.vocabulary)});
}

std::vector<Reference> reference_networks() {
  std::vector<Reference> all;
  const core::Shape image{28, 28, 1};
  for (const int64_t batch : {8, 32, 128})
    all.push_back({fmt::format("lenet5 {}", batch),
                   {.network = models::Lenet5Options{}, .place = {}},
                   {.batch = batch, .sample = image, .classes = 10}});
  for (const auto& [width, batch] : {std::pair<int64_t, int64_t>{64, 16},
                                     {256, 32},
                                     {256, 128},
                                     {512, 128},
                                     {1024, 32},
                                     {1024, 256},
                                     {2048, 64}})
    all.push_back({fmt::format("mlp {} {}", width, batch),
                   {.network = models::MlpOptions{.hidden = {width, width},
                                                  .activation = core::ActivationKind::kRelu,
                                                  .dropout = 0.1f,
                                                  .init = {}},
                    .place = {}},
                   {.batch = batch, .sample = image, .classes = 10}});
  add_language(all);
  return all;
}

// What a machine of measured nodes is for those that were not.
void fit_rates(core::DeviceModel& model) {
  model.op_seconds = 1;
  for (const auto& [type, samples] : model.ops)
    for (const core::OpSample& sample : samples) {
      model.op_seconds = std::min(model.op_seconds, sample.seconds);
      const double rate = static_cast<double>(sample.flops) / sample.seconds;
      if (type == "linear") model.f32.reached = std::max(model.f32.reached, rate);
    }
  model.f32.peak = model.f32.reached;
  const core::OpSample& largest = model.ops.at("update").back();
  model.bytes_per_second = static_cast<double>(largest.bytes) / largest.seconds;
}

}  // namespace

void time_nodes(const core::Graph& graph, core::Device& device, double seconds,
                core::DeviceModel& model) {
  TimedGraph timed(graph, device);
  timed.run();  // first touches of memory; counted too, as one of several
  constexpr int kLeast = 5;
  const double begin = seconds_now();
  for (int i = 0; i < kLeast || seconds_now() - begin < seconds; ++i) timed.run();
  timed.append_to(model);
}

void time_updates(core::Device& device, core::DeviceModel& model) {
  constexpr int kRuns = 9;
  for (const int64_t elements :
       {int64_t{1} << 12, int64_t{1} << 16, int64_t{1} << 20, int64_t{1} << 23}) {
    const core::AdamOptions adam;
    const std::vector<core::UpdateRange> ranges{{0, elements}};
    const auto norm = core::make_norm_kernel(device.kind(), elements, device.kernel_context());
    const auto update =
        core::make_update_kernel(device.kind(), adam, ranges, device.kernel_context());
    const int64_t bytes = elements * core::size_of(core::DType::kF32);
    Buffer parameters(device, bytes), gradients(device, bytes), first(device, bytes),
        second(device, bytes), sum(device, sizeof(double)), state(device, sizeof(core::StepState));
    const core::Stream compute = device.stream(StreamRole::kCompute);
    const core::StepState step{.grad_multiplier = 1, .learning_rate = 1e-3f, .apply = 1};
    device.copy_in(state.data(), &step, sizeof step, compute);
    const auto f32 = [](Buffer& buffer) { return static_cast<float*>(buffer.data()); };
    std::vector<double> norms, updates;
    for (int i = 0; i < kRuns; ++i) {
      norms.push_back(time_of(device, [&] {
        norm->run(f32(gradients), static_cast<double*>(sum.data()), false, compute);
      }));
      updates.push_back(time_of(device, [&] {
        update->run({f32(parameters), f32(gradients), f32(first), f32(second),
                     static_cast<const core::StepState*>(state.data()), compute});
      }));
    }
    model.ops["norm"].push_back({0, bytes, median(norms)});
    model.ops["update"].push_back({0, 7 * bytes, median(updates)});  // 3 written, 4 read
  }
}

core::LinkModel time_links(comm::Communicator& group, const core::LinkModel& otherwise) {
  const int n = group.size();
  if (n == 1) return otherwise;
  const auto seconds_of = [&](int64_t elements) {
    std::vector<float> values(static_cast<size_t>(elements));
    std::vector<double> runs;
    for (int i = 0; i < 15; ++i) {
      comm::barrier(group);
      const double begin = seconds_now();
      group.all_reduce(std::span(values), core::ReduceOp::kSum);
      runs.push_back(seconds_now() - begin);
    }
    return median(runs);
  };
  constexpr int64_t kLarge = int64_t{1} << 20;  // elements
  const double levels = std::bit_width(static_cast<unsigned>(n - 1));
  const double small = seconds_of(1), large = seconds_of(kLarge);
  const double moved = 2.0 * (n - 1) / n * kLarge * core::size_of(core::DType::kF32);
  return {small / (2 * levels), moved / std::max(large - small, 1e-9)};
}

core::LinkModel time_messages(comm::Communicator& group, core::Device& device) {
  constexpr int kRuns = 15;
  constexpr double kComputing = 0.02, kLate = 0.005;  // seconds
  if (group.size() == 1) return {};
  const bool sends = group.rank() % 2 == 0 && group.rank() + 1 < group.size();
  const bool receives = group.rank() % 2 == 1;
  const auto compute_until = [](double end) {
    while (seconds_now() < end) continue;
  };
  // From when both ends have come.
  const auto median_of = [&](std::vector<float>& values, double receiver_late) {
    std::vector<double> runs(1);
    for (int i = 0; i < kRuns; ++i) {
      comm::barrier(group);
      const double begin = seconds_now();
      if (sends) {
        const core::Stream stream = device.stream(StreamRole::kSendDown);
        group.send(std::span<const float>(values), group.rank() + 1, stream);
        compute_until(begin + kComputing);
        device.synchronize(stream);
      } else if (receives) {
        const core::Stream stream = device.stream(StreamRole::kReceiveDown);
        compute_until(begin + receiver_late);
        group.recv(std::span(values), group.rank() - 1, stream);
        device.synchronize(stream);
        runs.push_back(seconds_now() - begin - receiver_late);
      }
    }
    return median(runs);
  };
  const auto seconds_of = [&](int64_t elements) {
    std::vector<float> values(static_cast<size_t>(elements));
    std::vector<double> slowest{median_of(values, 0), median_of(values, kLate)};
    group.all_reduce(std::span(slowest), core::ReduceOp::kMax);
    return std::ranges::max(slowest);
  };
  constexpr int64_t kLarge = int64_t{1} << 18;  // elements
  const double small = seconds_of(1), large = seconds_of(kLarge);
  return {small, kLarge * core::size_of(core::DType::kF32) / std::max(large - small, 1e-9)};
}

core::DeviceModel measure_machine(core::Device& device, comm::Communicator& group,
                                  const std::function<void(const std::string&)>& progress) {
  core::DeviceModel model = core::find_device("cpu");
  model.name = "this machine";
  model.source = fmt::format("measured with {} rank{} of {} on one host", group.size(),
                             group.size() == 1 ? "" : "s", device.describe());
  model.kind = device.kind();
  model.memory_bytes = 0;
  model.ranks_per_node = group.size();
  const int busy = device.kernel_context().threads * group.size();
  model.hidden_share = busy < static_cast<int>(std::thread::hardware_concurrency()) ? 1 : 0;
  for (const Reference& reference : reference_networks()) {
    progress(reference.name);
    core::Graph graph = models::build_model(reference.model, reference.request);
    core::differentiate(graph, {.global_batch = reference.request.batch, .frozen = {}});
    comm::barrier(group);
    time_nodes(graph, device, 1, model);
  }
  progress("updates and links");
  comm::barrier(group);
  time_updates(device, model);
  model.inside = model.between = time_links(group, model.inside);
  model.messages = time_messages(group, device);
  fit_rates(model);
  return model;
}

}  // namespace trireme::launcher
