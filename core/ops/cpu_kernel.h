// A kernel from a function object, for CPU ops whose kernel is one call.
#pragma once

#include <memory>
#include <utility>

#include "core/graph/op.h"

namespace trireme::core {

template <typename Run>
class FunctionKernel : public Kernel {
 public:
  explicit FunctionKernel(Run run) : run_(std::move(run)) {}
  void run(const KernelArgs& args) override { run_(args); }

 private:
  Run run_;
};

// run(const KernelArgs&) holds by value all that it needs to know.
template <typename Run>
std::unique_ptr<Kernel> make_kernel(Run run) {
  return std::make_unique<FunctionKernel<Run>>(std::move(run));
}

// Elements below which another thread costs more than it saves.
constexpr int64_t kElementwiseGrain = 1 << 14;

}  // namespace trireme::core
