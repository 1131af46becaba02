#include "comm/launcher_process.h"

#include <fmt/format.h>

namespace trireme::comm {

std::string LauncherProcess::words() const {
  return fmt::format("the launcher (pid {}) is gone", pid_);
}

}  // namespace trireme::comm
