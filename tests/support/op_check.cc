#include "tests/support/op_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "tests/support/node_runner.h"

namespace trireme::test {
namespace {

std::vector<core::ValueType> types_of(const std::vector<HostTensor>& tensors) {
  std::vector<core::ValueType> types;
  for (const HostTensor& tensor : tensors) types.push_back(tensor.type);
  return types;
}

// The operands of one run in device memory.
struct Operands {
  std::vector<std::unique_ptr<GuardedMemory>> memory;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;

  void* hold(OpDevice& device, int64_t bytes) {
    memory.push_back(std::make_unique<GuardedMemory>(device, bytes));
    return memory.back()->data();
  }
};

Operands place(OpDevice& device, const core::Op& op, const std::vector<HostTensor>& inputs,
               const std::vector<core::ValueType>& output_types, const RunOptions& options) {
  Operands operands;
  for (const HostTensor& input : inputs) {
    operands.inputs.push_back(input.present() ? operands.hold(device, input.type.bytes())
                                              : nullptr);
    if (input.present()) operands.memory.back()->write(to_bytes(input));
  }
  for (size_t i = 0; i < output_types.size(); ++i) {
    if (i == 0 && options.in_place) {
      operands.outputs.push_back(const_cast<void*>(operands.inputs[op.may_overwrite()]));
      continue;
    }
    operands.outputs.push_back(operands.hold(device, output_types[i].bytes()));
    if (!options.accumulate_onto.empty())
      operands.memory.back()->write(to_bytes(options.accumulate_onto[i]));
  }
  return operands;
}

std::vector<std::byte> read(OpDevice& device, const void* at, int64_t bytes) {
  std::vector<std::byte> content(static_cast<size_t>(bytes));
  device.copy_out(content.data(), at, bytes);
  return content;
}

void require_inputs_kept(OpDevice& device, const core::Op& op,
                         const std::vector<HostTensor>& inputs, const Operands& operands,
                         bool in_place) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].present() || (in_place && static_cast<int>(i) == op.may_overwrite())) continue;
    if (read(device, operands.inputs[i], inputs[i].type.bytes()) != to_bytes(inputs[i]))
      throw SystemError(fmt::format("[{}] wrote to its input {}", op.type(), i));
  }
}

}  // namespace

std::vector<HostTensor> run_op(OpDevice& device, const core::Op& op,
                               const std::vector<HostTensor>& inputs, const OpSetting& setting,
                               const RunOptions& options) {
  const std::vector<core::ValueType> input_types = types_of(inputs);
  const std::vector<core::ValueType> output_types = op.infer(input_types);
  if (op.view_of() >= 0) return {{output_types.front(), inputs[op.view_of()].values}};

  const core::NodeTypes types{input_types, output_types};
  core::KernelContext context;
  context.seed = setting.seed;
  const std::unique_ptr<core::Kernel> kernel = device.make_kernel(op, types, context);

  Operands operands = place(device, op, inputs, output_types, options);
  core::KernelArgs args;
  args.inputs = operands.inputs.data();
  args.outputs = operands.outputs.data();
  args.workspace = operands.hold(device, op.workspace_cap(types, device.kind()));
  args.prepared = operands.hold(device, op.prepared_cap(types, device.kind()));
  auto* step = static_cast<core::StepState*>(operands.hold(device, sizeof(core::StepState)));
  device.copy_in(step, &setting.step, sizeof setting.step);
  args.step = step;
  args.sample_offset = setting.sample_offset;
  args.accumulate = !options.accumulate_onto.empty();
  args.stream = device.stream();
  kernel->prepare(args);
  kernel->run(args);
  device.synchronize();

  for (const auto& memory : operands.memory)
    if (!memory->guards_intact())
      throw SystemError(fmt::format("[{}] wrote outside of its memory", op.type()));
  require_inputs_kept(device, op, inputs, operands, options.in_place);
  std::vector<HostTensor> outputs;
  for (size_t i = 0; i < output_types.size(); ++i)
    outputs.push_back(
        from_bytes(output_types[i], read(device, operands.outputs[i], output_types[i].bytes())));
  return outputs;
}

std::string difference(const std::vector<double>& got, const std::vector<double>& want,
                       double tolerance) {
  if (got.size() != want.size())
    return fmt::format("has {} elements, expected {}", got.size(), want.size());
  double squares = 0;
  for (double w : want) squares += w * w;
  const double scale = want.empty() ? 0 : std::sqrt(squares / static_cast<double>(want.size()));
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - want[i]) <= tolerance * (std::abs(want[i]) + scale)))
      return fmt::format("element {} is {:.9g}, expected {:.9g}", i, got[i], want[i]);
  return "";
}

std::vector<HostTensor> NodeRunner::run(const core::Op& op, const std::vector<HostTensor>& inputs) {
  const std::vector<HostTensor> outputs = run_op(device_, op, inputs, setting_);
  if (op.may_overwrite() >= 0) {
    const auto again = run_op(device_, op, inputs, setting_, {.in_place = true});
    if (to_bytes(again.front()) != to_bytes(outputs.front()))
      report("[{}] gives other bits when it runs in place", op.type());
  }
  if (op.accumulates()) check_accumulate(op, inputs, outputs);
  return outputs;
}

void NodeRunner::check_accumulate(const core::Op& op, const std::vector<HostTensor>& inputs,
                                  const std::vector<HostTensor>& plain) {
  std::vector<HostTensor> before;
  Random random(11);
  for (const HostTensor& output : plain) {
    before.push_back(random.normal(output.type.shape));
    before.back().type.dtype = output.type.dtype;
  }
  const auto after = run_op(device_, op, inputs, setting_, {.accumulate_onto = before});
  // What a loss makes besides its sums (a row's log-sum-exp) is no sum over samples: replaced.
  const bool only_first = plain.front().type.dtype == core::DType::kF64;
  for (size_t i = 0; i < plain.size(); ++i) {
    std::vector<double> want = plain[i].values;
    if (i == 0 || !only_first)
      for (size_t k = 0; k < want.size(); ++k) want[k] += before[i].values[k];
    const std::string text = difference(after[i].values, want, 3e-6);
    if (!text.empty()) report("[{}] accumulating, output {} {}", op.type(), i, text);
  }
}

std::vector<std::string> forward_problems(OpDevice& device, const OpCase& op_case) {
  NodeRunner runner(device, op_case.setting);
  try {
    const std::vector<HostTensor> got = runner.run(*op_case.op, op_case.inputs);
    const auto want = op_case.reference(op_case.inputs);
    for (size_t i = 0; i < want.size(); ++i) {
      const std::string text = difference(got.at(i).values, want[i], op_case.tolerance);
      if (!text.empty()) runner.report("output {} {}", i, text);
    }
  } catch (const std::exception& error) {
    runner.report("{}", error.what());
  }
  return runner.problems();
}

namespace {

void expect_none(const OpCase& op_case, const char* what,
                 const std::vector<std::string>& problems) {
  for (const std::string& problem : problems)
    ADD_FAILURE() << op_case.name << ", " << what << ": " << problem;
}

}  // namespace

void check_forward(OpDevice& device, const OpCase& op_case) {
  expect_none(op_case, "forward", forward_problems(device, op_case));
}

void check_gradient(OpDevice& device, const OpCase& op_case) {
  expect_none(op_case, "gradient", gradient_problems(device, op_case));
}

void check_op(OpDevice& device, const OpCase& op_case) {
  check_forward(device, op_case);
  if (!op_case.activations.empty() || !op_case.parameters.empty()) check_gradient(device, op_case);
}

}  // namespace trireme::test
