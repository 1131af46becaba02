#include "core/cpu/half_products.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/cpu/half_loops.h"
#include "core/cpu/onednn.h"
#include "core/runtime/step_state.h"

namespace trireme::core {
namespace {

const char* widest_instructions() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512bf16")) return "AVX512-BF16, which oneDNN was told not to use";
  if (__builtin_cpu_supports("avx512f")) return "AVX-512 without BF16";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
  if (__builtin_cpu_supports("avx")) return "AVX";
#endif
  return "neither";
}

}  // namespace

std::string no_cpu_products(DType operands) {
  if (operands == DType::kF16) return "f16 is for GPUs";
  if (operands != DType::kBF16 || onednn::multiplies_bf16()) return "";
  return fmt::format("bf16 needs AVX512-BF16 or AMX, and this CPU has {}", widest_instructions());
}

RoundedKernel::RoundedKernel(std::unique_ptr<Kernel> inner, DType operands, const NodeTypes& types,
                             bool gradient, int threads)
    : inner_(std::move(inner)),
      operands_(operands),
      scaled_(gradient && operands == DType::kF16),
      threads_(threads),
      inputs_(types.inputs.size()) {
  for (size_t i = 0; i < copies_.size(); ++i) copies_[i].resize(types.inputs[i].elements());
}

void RoundedKernel::run(const KernelArgs& args) {
  std::copy_n(args.inputs, inputs_.size(), inputs_.begin());
  for (size_t i = 0; i < copies_.size(); ++i) {
    const float scale = i == 0 && scaled_ ? args.step->loss_scale : 1.0f;
    round_through(operands_, scale, args.in<float>(static_cast<int>(i)), copies_[i].data(),
                  std::ssize(copies_[i]), threads_);
    inputs_[i] = copies_[i].data();
  }
  KernelArgs rounded = args;
  rounded.inputs = inputs_.data();
  inner_->run(rounded);
}

const void* Bf16Copies::add(const float* x, int64_t elements) {
  auto* const copy = reinterpret_cast<uint16_t*>(free_);
  write_bf16(x, copy, elements, threads_);
  free_ += bytes(elements);
  return copy;
}

int64_t Bf16Copies::bytes(int64_t elements) { return (2 * elements + 255) / 256 * 256; }

}  // namespace trireme::core
