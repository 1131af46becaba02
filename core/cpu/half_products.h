// Products of bf16 and f16 operands on a CPU: what it can do, and the rounding that tests use
// instead.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/op.h"

namespace trireme::core {

// Why this CPU does not multiply such operands: "bf16 needs AVX512-BF16 or AMX, and this CPU has
// AVX2"; empty if it does.
std::string no_cpu_products(DType operands);

// For tests (HalfProducts::kRounded): rounds inputs 0 and 1 of an f32 kernel and runs it on them.
// A product of two bf16 or f16 values is exact in f32, so the results are those of real bf16 or f16
// products but for the order of sums. Its copies are its own memory, outside the arenas.
class RoundedKernel : public Kernel {
 public:
  // `gradient`: whether input 0 is one, which f16 scales (see LinearGradInput).
  RoundedKernel(std::unique_ptr<Kernel> inner, DType operands, const NodeTypes& types,
                bool gradient, int threads);
  void run(const KernelArgs& args) override;

 private:
  std::unique_ptr<Kernel> inner_;
  DType operands_;
  bool scaled_;
  int threads_;
  std::array<std::vector<float>, 2> copies_;
  std::vector<const void*> inputs_;
};

// Copies of f32 activations in bf16, one behind the other in a workspace.
class Bf16Copies {
 public:
  Bf16Copies(void* workspace, int threads)
      : free_(static_cast<std::byte*>(workspace)), threads_(threads) {}
  const void* add(const float* x, int64_t elements);
  void* rest() const { return free_; }  // of the workspace
  static int64_t bytes(int64_t elements);

 private:
  std::byte* free_;
  int threads_;
};

}  // namespace trireme::core
