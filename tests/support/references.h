// What the tests of single ops share: activations in double, refusals, prepared weights.
#pragma once

#include <string>
#include <vector>

#include "core/base/activation_kind.h"
#include "tests/support/op_check.h"

namespace trireme::test {

double activate(core::ActivationKind kind, double x);

// op.infer(inputs) throws InvalidArgument with exactly this message.
void expect_refusal(const core::Op& op, const std::vector<core::ValueType>& inputs,
                    const std::string& message);

// One kernel of the case's op runs, input 1 (the weight) changes, prepare() and run() come again:
// the second result is that of the new weight.
void check_prepares_again(const OpCase& op_case);

}  // namespace trireme::test
