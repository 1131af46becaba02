// The one way in which a checkpoint is refused.
#pragma once

#include <string>
#include <utility>

#include "core/base/error.h"

namespace trireme::launcher {

// Throws InvalidArgument (kBadCheckpoint): "where: what".
template <typename... Args>
[[noreturn]] void refuse(const std::string& where, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw InvalidArgument(
      fmt::format("{}: {}", where, fmt::format(format, std::forward<Args>(args)...)),
      ExitCode::kBadCheckpoint);
}

}  // namespace trireme::launcher
