// Checks of cuDNN's status codes, and owners of its handles.
#pragma once

#include <cudnn.h>

#include <source_location>

#include "core/base/unique_handle.h"

namespace trireme::core {

// Throws SystemError "[cudnn] CUDNN_STATUS_NOT_SUPPORTED: <cuDNN's last words> (file:line)".
void check(cudnnStatus_t status, std::source_location where = std::source_location::current());
void check_noexcept(cudnnStatus_t status,
                    std::source_location where = std::source_location::current()) noexcept;

inline void destroy_cudnn(cudnnHandle_t handle) noexcept { check_noexcept(cudnnDestroy(handle)); }

using Cudnn = UniqueHandle<cudnnHandle_t, destroy_cudnn>;

}  // namespace trireme::core
