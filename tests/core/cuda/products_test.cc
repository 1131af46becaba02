// Linear and Conv2d on a GPU against plain loops in double, with their gradients.
#include "tests/core/cuda/cuda_test.h"
#include "tests/support/linear_half_check.h"
#include "tests/support/product_cases.h"

namespace trireme::test {
namespace {

using core::ActivationKind;

using CudaLinear = CudaTest;
using CudaConv2d = CudaTest;

TEST_F(CudaLinear, AgreesWithLoops) {
  CudaOpDevice gpu(device());
  for (bool bias : {false, true}) {
    check_op(gpu, linear_case({1, 1}, 1, bias, ActivationKind::kNone));
    check_op(gpu, linear_case({7, 13}, 11, bias, ActivationKind::kNone));
    check_op(gpu, linear_case({17}, 5, bias, ActivationKind::kNone));
    check_op(gpu, linear_case({2, 3, 5}, 67, bias, ActivationKind::kNone));
    check_op(gpu, linear_case({61, 84}, 10, bias, ActivationKind::kNone));
    check_op(gpu, linear_case({66, 129}, 65, bias, ActivationKind::kNone));
    check_op(gpu, linear_case({32, 64}, 32, bias, ActivationKind::kNone));
  }
}

TEST_F(CudaLinear, FusesActivations) {
  CudaOpDevice gpu(device());
  for (auto kind : {ActivationKind::kTanh, ActivationKind::kSigmoid, ActivationKind::kGelu,
                    ActivationKind::kSilu, ActivationKind::kGeluTanh, ActivationKind::kRelu})
    for (bool bias : {false, true}) {
      if (kind == ActivationKind::kRelu && !bias) continue;  // zeros would lie on the kink
      check_op(gpu, linear_case({7, 13}, 11, bias, kind));
      check_op(gpu, linear_case({32, 64}, 48, bias, kind));
    }
}

TEST_F(CudaLinear, MultipliesHalves) {
  CudaOpDevice gpu(device());
  for (core::DType dtype : {core::DType::kBF16, core::DType::kF16}) check_linear_half(gpu, dtype);
}

TEST_F(CudaConv2d, AgreesWithLoops) {
  CudaOpDevice gpu(device());
  for (bool bias : {false, true}) {
    check_op(gpu, conv2d_case({1, 1, 1, 1}, {1, 1, 1, 1}, {}, bias));
    check_op(gpu, conv2d_case({2, 7, 5, 3}, {4, 3, 3, 3}, {.pad_h = 1, .pad_w = 1}, bias));
    check_op(gpu, conv2d_case({3, 12, 12, 1}, {6, 5, 5, 1}, {.pad_h = 2, .pad_w = 2}, bias));
    check_op(gpu, conv2d_case({2, 11, 7, 6}, {16, 5, 5, 6}, {}, bias));
    check_op(gpu, conv2d_case({2, 9, 8, 4}, {8, 3, 3, 4}, {.stride_h = 2, .stride_w = 3}, bias));
  }
}

TEST_F(CudaConv2d, KnowsGroupsDilationAndOneSidedWindows) {
  CudaOpDevice gpu(device());
  check_op(gpu, conv2d_case({2, 9, 7, 6}, {4, 3, 3, 3}, {.pad_h = 1, .groups = 2}, true));
  check_op(gpu,
           conv2d_case({2, 6, 6, 5}, {5, 3, 3, 1}, {.pad_h = 1, .pad_w = 1, .groups = 5}, true));
  check_op(gpu, conv2d_case({1, 11, 10, 3}, {5, 3, 2, 3},
                            {.pad_h = 2, .dilation_h = 2, .dilation_w = 3}, true));
  check_op(gpu, conv2d_case({2, 5, 9, 2}, {3, 1, 4, 2}, {.stride_w = 2, .pad_w = 1}, true));
}

TEST_F(CudaConv2d, FusesActivations) {
  CudaOpDevice gpu(device());
  for (auto kind : {ActivationKind::kRelu, ActivationKind::kTanh, ActivationKind::kSigmoid,
                    ActivationKind::kGelu})
    check_op(gpu, conv2d_case({2, 6, 5, 3}, {7, 3, 3, 3},
                              {.pad_h = 1, .pad_w = 1, .activation = kind}, true));
}

}  // namespace
}  // namespace trireme::test
