#include "core/cuda/cublas_check.h"

#include "core/base/error.h"
#include "core/cuda/check.h"

namespace trireme::core {

void check(cublasStatus_t status, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw SystemError(fmt::format("[cublas] {} ({})", cublasLtGetStatusString(status),
                                cublasLtGetStatusName(status)),
                    where);
}

void check_noexcept(cublasStatus_t status, std::source_location where) noexcept {
  if (status != CUBLAS_STATUS_SUCCESS)
    report_failure("cublas", cublasLtGetStatusString(status), where);
}

}  // namespace trireme::core
