#include "core/cuda/cublas_matmul.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/cuda/check.h"

namespace trireme::core {
namespace {

constexpr uint32_t kAlignment = 16;

cublasLtEpilogue_t cublas_epilogue(MatmulEpilogue epilogue) {
  switch (epilogue) {
    case MatmulEpilogue::kNone:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case MatmulEpilogue::kBias:
      return CUBLASLT_EPILOGUE_BIAS;
    case MatmulEpilogue::kRelu:
      return CUBLASLT_EPILOGUE_RELU;
    case MatmulEpilogue::kReluBias:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

bool has_bias(MatmulEpilogue epilogue) {
  return epilogue == MatmulEpilogue::kBias || epilogue == MatmulEpilogue::kReluBias;
}

cudaDataType_t cuda_type(DType dtype) {
  if (dtype == DType::kBF16) return CUDA_R_16BF;
  return dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_32F;
}

// A row-major (rows, columns) matrix as cuBLAS sees it: column-major, (columns, rows).
CublasLayout make_layout(cudaDataType_t type, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(columns),
                                   static_cast<uint64_t>(rows), columns));
  return CublasLayout(layout);
}

template <typename Value>
void set(const CublasMatmulDesc& matmul, cublasLtMatmulDescAttributes_t attribute,
         const Value& value) {
  check(cublasLtMatmulDescSetAttribute(matmul.get(), attribute, &value, sizeof(value)));
}

template <typename Value>
void set(const CublasPreference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const Value& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)));
}

CublasMatmulDesc make_matmul(bool transpose_a, bool transpose_b) {
  cublasLtMatmulDesc_t handle = nullptr;
  check(cublasLtMatmulDescCreate(&handle, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  CublasMatmulDesc matmul(handle);
  const auto op = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
  set(matmul, CUBLASLT_MATMUL_DESC_TRANSA, op(transpose_a));
  set(matmul, CUBLASLT_MATMUL_DESC_TRANSB, op(transpose_b));
  return matmul;
}

// Whatever the environment asks for (NVIDIA_TF32_OVERRIDE, emulation): operands stay what they are.
uint64_t admitted_implementations(DType operands) {
  uint64_t reduced = CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32;
  if (operands != DType::kBF16) reduced |= CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF;
  if (operands != DType::kF16) reduced |= CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F;
  return ~reduced;
}

CublasPreference make_preference(int64_t workspace_cap, DType operands) {
  cublasLtMatmulPreference_t handle = nullptr;
  check(cublasLtMatmulPreferenceCreate(&handle));
  CublasPreference preference(handle);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_cap));
  // Split sums go through the workspace and are added in a fixed order, or are not split.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_IMPL_MASK, admitted_implementations(operands));
  for (auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(preference, attribute, kAlignment);
  return preference;
}

}  // namespace

// cuBLAS is column-major. C in row-major memory is C^T in column-major memory, and C^T = op(B)^T
// op(A)^T: so cuBLAS's first operand is our B, its second our A, and no matrix is moved. Bias,
// which cuBLAS adds along C^T's columns, then runs along our rows.
CublasMatmul::CublasMatmul(CudaContext& context, const MatmulShape& shape, MatmulEpilogue wanted,
                           int64_t workspace_cap)
    : handle_(context.cublaslt()),
      workspace_cap_(workspace_cap),
      operands_(shape.operands),
      matmul_(make_matmul(shape.transpose_b, shape.transpose_a)),
      a_(shape.transpose_b ? make_layout(cuda_type(operands_), shape.columns, shape.inner)
                           : make_layout(cuda_type(operands_), shape.inner, shape.columns)),
      b_(shape.transpose_a ? make_layout(cuda_type(operands_), shape.inner, shape.rows)
                           : make_layout(cuda_type(operands_), shape.rows, shape.inner)),
      c_(make_layout(CUDA_R_32F, shape.rows, shape.columns)) {
  if (shape.scaled) {
    constexpr std::array<float, 2> kZeroAndOne{0, 1};
    zero_and_one_ = std::make_unique<DeviceArray<float>>(std::span(kZeroAndOne));
    set(matmul_, CUBLASLT_MATMUL_DESC_POINTER_MODE, CUBLASLT_POINTER_MODE_DEVICE);
  }
  set_epilogue(wanted);
  if (choose_algorithm()) return;
  set_epilogue(MatmulEpilogue::kNone);
  if (choose_algorithm()) return;
  throw SystemError(
      fmt::format("[cublas] no algorithm for ({}, {}) x ({}, {}) in {} workspace bytes", shape.rows,
                  shape.inner, shape.inner, shape.columns, workspace_cap));
}

void CublasMatmul::set_epilogue(MatmulEpilogue epilogue) {
  epilogue_ = epilogue;
  set(matmul_, CUBLASLT_MATMUL_DESC_EPILOGUE, cublas_epilogue(epilogue));
  // The heuristic looks whether there is a bias and how it is aligned, not at what it points to.
  const void* const some_pointer = reinterpret_cast<const void*>(uintptr_t{256});
  if (has_bias(epilogue)) set(matmul_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, some_pointer);
}

bool CublasMatmul::choose_algorithm() {
  const CublasPreference preference = make_preference(workspace_cap_, operands_);
  std::array<Algorithm, 8> found{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_, matmul_.get(), a_.get(), b_.get(), c_.get(), c_.get(), preference.get(),
      static_cast<int>(found.size()), found.data(), &count);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status);
  const auto fits = [this](const Algorithm& algorithm) {
    return algorithm.state == CUBLAS_STATUS_SUCCESS &&
           algorithm.workspaceSize <= static_cast<size_t>(workspace_cap_);
  };
  const auto best = std::find_if(found.begin(), found.begin() + count, fits);
  if (best == found.begin() + count) return false;
  algorithm_ = *best;
  return true;
}

void CublasMatmul::run(const void* a, const void* b, const float* bias, float* c, bool accumulate,
                       void* workspace, Stream stream, const float* factor) {
  if (has_bias(epilogue_)) set(matmul_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  constexpr float kZero = 0, kOne = 1;
  const float *alpha = &kOne, *beta = accumulate ? &kOne : &kZero;
  if (zero_and_one_) {
    alpha = factor;
    beta = zero_and_one_->data() + (accumulate ? 1 : 0);
  }
  check(cublasLtMatmul(handle_, matmul_.get(), alpha, b, a_.get(), a, b_.get(), beta, c, c_.get(),
                       c, c_.get(), &algorithm_.algo, workspace,
                       static_cast<size_t>(workspace_cap_), cuda(stream)));
}

}  // namespace trireme::core
