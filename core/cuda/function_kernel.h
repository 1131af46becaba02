// A Kernel made of one callable: what run() does once shapes and options are known.
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

template <typename Run>
std::unique_ptr<Kernel> make_function_kernel(Run run) {
  return std::make_unique<FunctionKernel<Run>>(std::move(run));
}

}  // namespace trireme::core
