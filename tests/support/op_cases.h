// The test cases of ops, apart from where they run: the CPU's tests, the emulator's and a GPU's
// all take these.
#pragma once

#include <vector>

#include "tests/support/op_check.h"

namespace trireme::test {

std::vector<OpCase> activation_cases();   // forward and gradient, every kind
std::vector<OpCase> elementwise_cases();  // add, scale, dropout
std::vector<OpCase> cross_entropy_cases();
std::vector<OpCase> mean_squared_error_cases();
std::vector<OpCase> accuracy_cases();
std::vector<OpCase> embedding_cases();  // and its gradients by themselves
std::vector<OpCase> norm_cases();
std::vector<OpCase> norm_grad_cases();  // NormGrad and NormGradWeight by themselves
std::vector<OpCase> swiglu_cases();
std::vector<OpCase> rotary_cases();
std::vector<OpCase> causal_attention_cases();
std::vector<OpCase> split_cases();  // what tensor parallelism leaves of dropout and losses; copies

// All of the above.
std::vector<OpCase> light_op_cases();

}  // namespace trireme::test
