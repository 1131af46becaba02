// Throws what a broken data file is: the user's to mend, with the exit code for bad data.
#pragma once

#include "core/base/error.h"

namespace trireme::launcher {

template <typename... Args>
[[noreturn]] void bad_data(fmt::format_string<Args...> format, Args&&... args) {
  throw InvalidArgument(fmt::format(format, std::forward<Args>(args)...), ExitCode::kBadData);
}

}  // namespace trireme::launcher
