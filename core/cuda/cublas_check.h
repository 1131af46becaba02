// Checks of cuBLASLt's status codes, and owners of its handles.
#pragma once

#include <cublasLt.h>

#include <source_location>

#include "core/base/unique_handle.h"

namespace trireme::core {

// Throws SystemError "[cublas] an unsupported value or parameter was passed ... (file:line)".
void check(cublasStatus_t status, std::source_location where = std::source_location::current());
void check_noexcept(cublasStatus_t status,
                    std::source_location where = std::source_location::current()) noexcept;

inline void destroy_cublaslt(cublasLtHandle_t handle) noexcept {
  check_noexcept(cublasLtDestroy(handle));
}
inline void destroy_matmul(cublasLtMatmulDesc_t matmul) noexcept {
  check_noexcept(cublasLtMatmulDescDestroy(matmul));
}
inline void destroy_layout(cublasLtMatrixLayout_t layout) noexcept {
  check_noexcept(cublasLtMatrixLayoutDestroy(layout));
}
inline void destroy_preference(cublasLtMatmulPreference_t preference) noexcept {
  check_noexcept(cublasLtMatmulPreferenceDestroy(preference));
}

using CublasLt = UniqueHandle<cublasLtHandle_t, destroy_cublaslt>;
using CublasMatmulDesc = UniqueHandle<cublasLtMatmulDesc_t, destroy_matmul>;
using CublasLayout = UniqueHandle<cublasLtMatrixLayout_t, destroy_layout>;
using CublasPreference = UniqueHandle<cublasLtMatmulPreference_t, destroy_preference>;

}  // namespace trireme::core
