// An op, a model and a dataset of one's own, in a `trireme` of one's own.
#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "launcher/run.h"

using namespace trireme;

// A kernel from a function over the elements of its operands.
template <typename Function>
struct Elementwise : core::Kernel {
  Elementwise(int64_t count, Function function) : count(count), function(function) {}
  void run(const core::KernelArgs& args) override {
    for (int64_t i = 0; i < count; ++i) function(args, i);
  }
  int64_t count;
  Function function;
};

// What both ops below share: f32 in, the same shape out, on the CPU.
struct SineOp : core::Op {
  std::vector<core::ValueType> infer(std::span<const core::ValueType> in) const override {
    return {in[0]};
  }
  core::Cost cost(const core::NodeTypes& types) const override {
    return {20 * types.outputs[0].elements(), 2 * types.outputs[0].bytes()};
  }
  std::unique_ptr<core::Kernel> cuda_kernel(const core::NodeTypes&,
                                            const core::KernelContext&) const override {
    fail("[{}] has no CUDA kernel: train with --device cpu", type());
  }
  template <typename Function>
  static std::unique_ptr<core::Kernel> kernel(const core::NodeTypes& types, Function function) {
    return std::make_unique<Elementwise<Function>>(types.outputs[0].elements(), function);
  }
};

// dx = dy cos(x)
struct SineGrad : SineOp {
  std::string_view type() const override { return "sine_grad"; }
  std::unique_ptr<core::Kernel> cpu_kernel(const core::NodeTypes& types,
                                           const core::KernelContext&) const override {
    return kernel(types, [](const core::KernelArgs& args, int64_t i) {
      args.out<float>(0)[i] = args.in<float>(0)[i] * std::cos(args.in<float>(1)[i]);
    });
  }
};

// y = sin(x)
struct Sine : SineOp {
  std::string_view type() const override { return "sine"; }
  void gradient(core::GradientBuilder& builder) const override {
    builder.emit("x", std::make_shared<SineGrad>(), {builder.output_gradient(0), builder.input(0)},
                 {0});
  }
  std::unique_ptr<core::Kernel> cpu_kernel(const core::NodeTypes& types,
                                           const core::KernelContext&) const override {
    return kernel(types, [](const core::KernelArgs& args, int64_t i) {
      args.out<float>(0)[i] = std::sin(args.in<float>(0)[i]);
    });
  }
};

void sine_net(models::NetBuilder& net, const models::CustomModelOptions& options) {
  const int64_t width = std::stoll(options.parameters.at("width"));
  core::ValueId x =
      net.op("sine1", std::make_shared<Sine>(),
             {net.linear("fc1", net.flatten("flatten", net.data()), {.outputs = width})});
  x = net.op("sine2", std::make_shared<Sine>(), {net.linear("fc2", x, {.outputs = width})});
  net.softmax_cross_entropy("loss", net.linear("fc3", x, {.outputs = 2}), {});
}

struct Spirals : launcher::Dataset {
  explicit Spirals(const launcher::CustomDatasetOptions& options)
      : first(std::stoll(options.parameters.at("first"))) {}
  int64_t size() const override { return 2000; }
  core::Shape feature_shape() const override { return {2}; }
  int64_t classes() const override { return 2; }
  void read(int64_t index, launcher::Sample out) const override {
    out.label = static_cast<int32_t>(index % 2);
    const double radius = std::fmod(0.618034 * static_cast<double>(first + index), 1.0);
    const double angle = 6 * radius + std::numbers::pi * out.label;
    out.features[0] = static_cast<float>(3 * radius * std::cos(angle));
    out.features[1] = static_cast<float>(3 * radius * std::sin(angle));
  }
  std::string name() const override { return "spirals"; }
  std::string identity() const override { return "spirals from " + std::to_string(first); }
  int64_t first;
};

int main(int argc, char** argv) {
  launcher::Extensions mine;
  mine.models["sine_net"] = sine_net;
  mine.datasets["spirals"] = [](const auto& options) { return std::make_unique<Spirals>(options); };
  return run(argc, argv, mine);
}
