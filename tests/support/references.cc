#include "tests/support/references.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/base/error.h"

namespace trireme::test {

using core::ActivationKind;

double activate(ActivationKind kind, double x) {
  switch (kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kRelu:
      return x > 0 ? x : 0;
    case ActivationKind::kGelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case ActivationKind::kGeluTanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case ActivationKind::kTanh:
      return std::tanh(x);
    case ActivationKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::kSilu:
      return x / (1 + std::exp(-x));
  }
  return 0;
}

void expect_refusal(const core::Op& op, const std::vector<core::ValueType>& inputs,
                    const std::string& message) {
  try {
    op.infer(inputs);
    ADD_FAILURE() << "accepted what it should refuse with: " << message;
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.what(), message);
  }
}

void check_prepares_again(const OpCase& op_case) {
  auto device = make_cpu_op_device(1);
  std::vector<core::ValueType> input_types;
  std::vector<std::unique_ptr<GuardedMemory>> memory;
  std::vector<const void*> inputs;
  const auto hold = [&](int64_t bytes) {
    memory.push_back(std::make_unique<GuardedMemory>(*device, bytes));
    return memory.back()->data();
  };
  for (const HostTensor& input : op_case.inputs) {
    input_types.push_back(input.type);
    inputs.push_back(input.present() ? hold(input.type.bytes()) : nullptr);
    if (input.present()) memory.back()->write(to_bytes(input));
  }
  const auto output_types = op_case.op->infer(input_types);
  const core::NodeTypes types{input_types, output_types};
  std::vector<void*> outputs;
  for (const core::ValueType& type : output_types) outputs.push_back(hold(type.bytes()));
  const auto kernel = device->make_kernel(*op_case.op, types, {});
  core::KernelArgs args;
  args.inputs = inputs.data();
  args.outputs = outputs.data();
  args.workspace = hold(op_case.op->workspace_cap(types, core::DeviceKind::kCpu));
  args.prepared = hold(op_case.op->prepared_cap(types, core::DeviceKind::kCpu));
  kernel->prepare(args);
  kernel->run(args);

  std::vector<HostTensor> changed = op_case.inputs;
  for (double& value : changed[1].values) value = -0.5 * value;
  const std::vector<std::byte> bytes = to_bytes(changed[1]);
  device->copy_in(const_cast<void*>(inputs[1]), bytes.data(), static_cast<int64_t>(bytes.size()));
  kernel->prepare(args);
  kernel->run(args);
  std::vector<std::byte> got(static_cast<size_t>(output_types[0].bytes()));
  device->copy_out(got.data(), outputs[0], output_types[0].bytes());
  EXPECT_EQ(difference(from_bytes(output_types[0], got).values, op_case.reference(changed)[0],
                       op_case.tolerance),
            "")
      << op_case.name;
}

}  // namespace trireme::test
