// One matrix product, planned once and run many times, on cuBLASLt.
//
// Sums and results are fp32 (CUBLAS_COMPUTE_32F, never TF32), operands fp32, bf16 or f16. The same
// bits on every run: algorithms that add partial sums in place, as blocks happen to finish, are not
// admitted.
//
// Source: NVIDIA, cuBLAS Library 13, chapter "Using the cuBLASLt API".
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/dtype.h"
#include "core/cuda/context.h"
#include "core/cuda/cublas_check.h"
#include "core/cuda/device_array.h"
#include "core/runtime/stream.h"

namespace trireme::core {

// C = op(A) op(B), all row-major and packed: C (rows, columns), op(A) (rows, inner), op(B) (inner,
// columns). A transposed operand lies in memory as its transpose: A (inner, rows).
struct MatmulShape {
  int64_t rows = 0, columns = 0, inner = 0;
  bool transpose_a = false, transpose_b = false;
  DType operands = DType::kF32;  // of A and B
  bool scaled = false;           // the product is multiplied by a factor on the device
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

  // c = [c +] [factor] a b, then the epilogue. Pointers are 16-byte aligned, as every value of a
  // program is. `workspace` has workspace_cap bytes, 256-byte aligned. Allocates nothing; may be
  // captured. `factor`: on the device, where the shape says scaled.
  void run(const void* a, const void* b, const float* bias, float* c, bool accumulate,
           void* workspace, Stream stream, const float* factor = nullptr);

 private:
  using Algorithm = cublasLtMatmulHeuristicResult_t;

  void set_epilogue(MatmulEpilogue epilogue);
  bool choose_algorithm();

  cublasLtHandle_t handle_;
  int64_t workspace_cap_;
  DType operands_;
  MatmulEpilogue epilogue_ = MatmulEpilogue::kNone;
  CublasMatmulDesc matmul_;
  CublasLayout a_, b_, c_;  // cuBLAS's column-major view: see the constructor
  Algorithm algorithm_{};
  std::unique_ptr<DeviceArray<float>> zero_and_one_;  // of c, where the factor is on the device
};

}  // namespace trireme::core
