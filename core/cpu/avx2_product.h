// Matrix products on CPUs with AVX2 and no AVX-512.
//
// There oneDNN multiplies f32 by a gemm that packs both operands at each call, and is 20 to 40 %
// slower than this on the shapes of small networks (bench/op_bench.cc). With AVX-512, and on other
// CPUs, use oneDNN.
#pragma once

#include <cstdint>

namespace trireme::core {

// Whether multiply() may be called here.
bool has_avx2_product();

// c = f(a b + bias), or c += a b where `accumulate`.
//
//   a     (m, k), or stored (k, m) if a_transposed
//   b     (k, n), or stored (n, k) if b_transposed
//   bias  (n) or null; not with accumulate
//   c     (m, n);  f is max(x, 0) if relu, else x
//
// Every sum over k runs in the same order whatever the number of threads. Allocates nothing:
// `workspace` is workspace_bytes(), 64-byte aligned.
struct Avx2Product {
  int64_t m = 0, n = 0, k = 0;
  bool a_transposed = false;
  bool b_transposed = false;
  bool accumulate = false;
  bool relu = false;

  int64_t workspace_bytes() const;
  void run(const float* a, const float* b, const float* bias, float* c, int threads,
           void* workspace) const;

 private:
  int64_t workers(int64_t threads) const;
  int64_t row_block() const;
  int64_t slab_elements() const;
};

}  // namespace trireme::core
