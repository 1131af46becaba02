// oneDNN behind one door: the only place that knows the library, in versions 2.6 and 3.x.
//
// A Primitive is made once for fixed shapes and a fixed number of threads and owns its handles;
// operands are bound at each run. It makes no library object in run(), and its scratch memory is
// the caller's. The first implementation that keeps to the Limits is taken, in the library's own
// order of preference, so the choice is a function of the shapes and the CPU.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "core/base/activation_kind.h"
#include "core/base/dtype.h"
#include "core/cpu/convolution_spec.h"

namespace trireme::core::onednn {

// What a primitive may use. prepared_bytes = 0: weights stay in their plain form.
struct Limits {
  int threads = 1;
  int64_t workspace_bytes = 0;
  int64_t prepared_bytes = 0;
};

class Primitive {
 public:
  struct Impl;
  explicit Primitive(std::unique_ptr<Impl> impl);
  Primitive(Primitive&&) noexcept;
  Primitive& operator=(Primitive&&) noexcept;
  ~Primitive();

  // Whether run() takes the weight from what prepare() wrote.
  bool wants_prepared() const;
  void prepare(const void* weight, void* prepared) const;

  // Operands in the order that the factory's comment gives; null where one is absent.
  // `workspace`: Limits::workspace_bytes, 64-byte aligned.
  void run(std::initializer_list<const void*> operands, void* workspace) const;

 private:
  std::unique_ptr<Impl> impl_;
};

// c = f(a b + bias), or c += a b where `accumulate`.
//
//   a     (m, k), stored (k, m) if a_transposed
//   b     (k, n), stored (n, k) if b_transposed; the weight that prepare() may reorder
//   bias  (n), optional
//   c     (m, n)
//
// All f32; or a and b are `operands`, kBF16, and then a b that is prepared is given in f32.
struct MatmulSpec {
  int64_t m = 0, n = 0, k = 0;
  bool a_transposed = false;
  bool b_transposed = false;
  bool bias = false;
  bool accumulate = false;
  ActivationKind activation = ActivationKind::kNone;
  DType operands = DType::kF32;
};
// run({a, b, bias, c})
Primitive make_matmul(const MatmulSpec& spec, const Limits& limits);

// run({x, weight, bias, y})
Primitive make_convolution(const ConvolutionSpec& spec, const Limits& limits);
// run({dz, weight, dx})
Primitive make_convolution_grad_input(const ConvolutionSpec& spec, const Limits& limits);
// run({x, dz, dw, db}); replaces dw and db
Primitive make_convolution_grad_weight(const ConvolutionSpec& spec, const Limits& limits);

// "2.6.3": of the library that this process runs with.
std::string version();

// Whether this CPU has instructions for bf16 products, AVX512-BF16 or AMX, that the library uses.
bool multiplies_bf16();

}  // namespace trireme::core::onednn
