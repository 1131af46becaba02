// One fp32 matrix product, planned once and run many times, on cuBLASLt.
//
// Strict fp32 (CUBLAS_COMPUTE_32F, never TF32) and the same bits on every run: algorithms that
// add partial sums in place, as blocks happen to finish, are not admitted.
//
// Source: NVIDIA, cuBLAS Library 13, chapter "Using the cuBLASLt API".
#pragma once

#include <cstdint>

#include "core/cuda/context.h"
#include "core/cuda/cublas_check.h"
#include "core/runtime/stream.h"

namespace trireme::core {

// C = op(A) op(B), all row-major and packed: C (rows, columns), op(A) (rows, inner), op(B) (inner,
// columns). A transposed operand lies in memory as its transpose: A (inner, rows).
struct MatmulShape {
  int64_t rows = 0, columns = 0, inner = 0;
  bool transpose_a = false, transpose_b = false;
};

// What is fused to the product; bias (columns) is added to every row.
enum class MatmulEpilogue : uint8_t { kNone, kBias, kRelu, kReluBias };

class CublasMatmul {
 public:
  // Chooses the algorithm. Falls back to kNone where the library cannot fuse `wanted`: see
  // epilogue(). Throws SystemError if no algorithm fits into `workspace_cap` bytes.
  CublasMatmul(CudaContext& context, const MatmulShape& shape, MatmulEpilogue wanted,
               int64_t workspace_cap);

  MatmulEpilogue epilogue() const { return epilogue_; }

  // c = [c +] a b, then the epilogue. Pointers are 16-byte aligned, as every value of a program
  // is. `workspace` has workspace_cap bytes, 256-byte aligned. Allocates nothing; may be captured.
  void run(const float* a, const float* b, const float* bias, float* c, bool accumulate,
           void* workspace, Stream stream);

 private:
  using Algorithm = cublasLtMatmulHeuristicResult_t;

  void set_epilogue(MatmulEpilogue epilogue);
  bool choose_algorithm();

  cublasLtHandle_t handle_;
  int64_t workspace_cap_;
  MatmulEpilogue epilogue_ = MatmulEpilogue::kNone;
  CublasMatmulDesc matmul_;
  CublasLayout a_, b_, c_;  // cuBLAS's column-major view: see the constructor
  Algorithm algorithm_{};
};

}  // namespace trireme::core
