// Times single ops on the CPU at the shapes of LeNet-5 of an MLP (784-512-512-10) and of a
// small GPT.
//
//   op_bench --benchmark_filter=conv2d/.*threads:1
//
// The counter FLOPS is by the op's own cost rule.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/ops/activation.h"
#include "core/ops/causal_attention.h"
#include "core/ops/conv2d.h"
#include "core/ops/linear.h"
#include "core/ops/pool2d.h"
#include "core/ops/softmax_cross_entropy.h"

namespace {

using namespace trireme::core;

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, FreeDeleter>;

Memory allocate(int64_t bytes) {
  constexpr int64_t kAlignment = 256;
  const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return Memory(std::aligned_alloc(kAlignment, static_cast<size_t>(rounded + kAlignment)));
}

// Normal values for f32, zeros for the rest (places in a window).
Memory random_values(const ValueType& type) {
  Memory memory = allocate(type.bytes());
  std::mt19937 engine(1);
  std::normal_distribution<float> draw;
  if (type.dtype == DType::kF32)
    for (int64_t i = 0; i < type.elements(); ++i)
      static_cast<float*>(memory.get())[i] = draw(engine);
  else
    std::fill_n(static_cast<char*>(memory.get()), type.bytes(), char{0});
  return memory;
}

void run_op(benchmark::State& state, const OpPtr& op, const std::vector<ValueType>& inputs) {
  const std::vector<ValueType> outputs = op->infer(inputs);
  const NodeTypes types{inputs, outputs};
  KernelContext context;
  context.threads = static_cast<int>(state.range(0));
  const auto kernel = op->cpu_kernel(types, context);

  std::vector<Memory> owned;
  std::vector<const void*> in;
  std::vector<void*> out;
  const auto hold = [&](Memory memory) { return owned.emplace_back(std::move(memory)).get(); };
  for (const ValueType& type : inputs) in.push_back(hold(random_values(type)));
  for (const ValueType& type : outputs) out.push_back(hold(random_values(type)));
  KernelArgs args;
  args.inputs = in.data();
  args.outputs = out.data();
  args.workspace = hold(allocate(op->workspace_cap(types, DeviceKind::kCpu)));
  args.prepared = hold(allocate(op->prepared_cap(types, DeviceKind::kCpu)));
  kernel->prepare(args);
  for (auto _ : state) kernel->run(args);
  state.counters["FLOPS"] = benchmark::Counter(
      static_cast<double>(op->cost(types).flops) * static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate);
}

void add(const std::string& name, OpPtr op, std::vector<ValueType> inputs) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [op = std::move(op), inputs = std::move(inputs)](
                                   benchmark::State& state) { run_op(state, op, inputs); })
      ->ArgName("threads")
      ->Arg(1)
      ->Arg(2)
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

ValueType f32(Shape shape) { return {shape, DType::kF32}; }

void add_linear(int64_t rows, int64_t in, int64_t out, ActivationKind activation) {
  const std::string tail = fmt::format("/{}x{}to{}", rows, in, out);
  const ValueType x = f32({rows, in}), weight = f32({out, in}), bias = f32({out});
  const ValueType dz = f32({rows, out});
  add("linear" + tail, std::make_shared<Linear>(LinearOptions{activation}), {x, weight, bias});
  add("linear_grad_input" + tail, std::make_shared<LinearGradInput>(), {dz, weight});
  add("linear_grad_weight" + tail, std::make_shared<LinearGradWeight>(true), {dz, x});
}

void add_convolution(Shape x, Shape weight, Conv2dOptions options) {
  const std::string tail = fmt::format("/{}x{}x{}x{}to{}", x[0], x[1], x[2], x[3], weight[0]);
  const auto forward = std::make_shared<Conv2d>(options);
  const std::vector<ValueType> inputs{f32(x), f32(weight), f32({weight[0]})};
  const ValueType y = forward->infer(inputs)[0];
  add("conv2d" + tail, forward, inputs);
  add("conv2d_grad_input" + tail, std::make_shared<Conv2dGradInput>(options, x), {y, f32(weight)});
  add("conv2d_grad_weight" + tail, std::make_shared<Conv2dGradWeight>(options, weight, true),
      {y, f32(x)});
}

void add_pool(Shape x) {
  const std::string tail = fmt::format("/{}x{}x{}x{}", x[0], x[1], x[2], x[3]);
  const auto forward = std::make_shared<Pool2d>(Pool2dOptions{});
  const std::vector<ValueType> outputs = forward->infer(std::vector<ValueType>{f32(x)});
  add("max_pool2d" + tail, forward, {f32(x)});
  add("max_pool2d_grad" + tail, std::make_shared<Pool2dGrad>(Pool2dOptions{}, x), outputs);
}

void add_attention(int64_t batch, int64_t positions, int64_t heads, int64_t kv_heads,
                   int64_t head_dim) {
  const std::string tail =
      fmt::format("/{}x{}x{}:{}x{}", batch, positions, heads, kv_heads, head_dim);
  const AttentionOptions options{heads, kv_heads, head_dim};
  const ValueType qkv = f32({batch, positions, (heads + 2 * kv_heads) * head_dim});
  const auto forward = std::make_shared<CausalAttention>(options);
  const auto outputs = forward->infer(std::vector<ValueType>{qkv});
  add("causal_attention" + tail, forward, {qkv});
  add("causal_attention_grad" + tail, std::make_shared<CausalAttentionGrad>(options),
      {qkv, outputs[0], outputs[1], outputs[0]});
}

void add_cross_entropy(int64_t rows, int64_t classes) {
  const std::string tail = fmt::format("/{}x{}", rows, classes);
  const ValueType x = f32({rows, classes}), labels{{rows}, DType::kI32};
  const SoftmaxCrossEntropyOptions options;
  add("softmax_cross_entropy" + tail, std::make_shared<SoftmaxCrossEntropy>(options),
      {x, labels, f32({1})});
  add("softmax_cross_entropy_grad" + tail, std::make_shared<SoftmaxCrossEntropyGrad>(options, 1),
      {x, labels, f32({1}), f32({rows})});
}

// The step of a small GPT: 8 samples of 256 positions, width 384, 6 heads.
void add_gpt() {
  constexpr int64_t kRows = 8 * 256, kWidth = 384;
  add_linear(kRows, kWidth, 3 * kWidth, ActivationKind::kNone);
  add_linear(kRows, kWidth, kWidth, ActivationKind::kNone);
  add_linear(kRows, kWidth, 4 * kWidth, ActivationKind::kGeluTanh);
  add_linear(kRows, 4 * kWidth, kWidth, ActivationKind::kNone);
  add("activation_grad/gelu_tanh", std::make_shared<ActivationGrad>(ActivationKind::kGeluTanh),
      {f32({kRows, 4 * kWidth}), f32({kRows, 4 * kWidth})});
  add("activation_grad/gelu", std::make_shared<ActivationGrad>(ActivationKind::kGelu),
      {f32({kRows, 4 * kWidth}), f32({kRows, 4 * kWidth})});
  add("activation/gelu", std::make_shared<Activation>(ActivationKind::kGelu),
      {f32({kRows, 4 * kWidth})});
  add("activation/gelu_tanh", std::make_shared<Activation>(ActivationKind::kGeluTanh),
      {f32({kRows, 4 * kWidth})});
  add_attention(8, 256, 6, 6, 64);
  add_attention(1, 1024, 12, 12, 64);
  add_linear(kRows, kWidth, 96, ActivationKind::kNone);
  add_cross_entropy(kRows, 96);
  add_cross_entropy(64, 50257);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int64_t kBatch = 64;
  const auto relu = ActivationKind::kRelu;
  add_convolution({kBatch, 28, 28, 1}, {6, 5, 5, 1}, {.pad_h = 2, .pad_w = 2, .activation = relu});
  add_convolution({kBatch, 14, 14, 6}, {16, 5, 5, 6}, {.activation = relu});
  add_convolution({8, 28, 28, 64}, {64, 3, 3, 64}, {.pad_h = 1, .pad_w = 1, .activation = relu});
  add_pool({kBatch, 28, 28, 6});
  add_pool({kBatch, 10, 10, 16});
  add_linear(kBatch, 400, 120, relu);
  add_linear(kBatch, 120, 84, relu);
  add_linear(kBatch, 84, 10, ActivationKind::kNone);
  add_linear(kBatch, 784, 512, relu);
  add_linear(kBatch, 512, 512, relu);
  add_linear(kBatch, 512, 10, ActivationKind::kNone);
  add_gpt();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
