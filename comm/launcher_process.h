// The process that started this rank: mpirun, orted, srun, or a shell.
#pragma once

#include <unistd.h>

#include <string>

namespace trireme::comm {

// Seen as the parent was when this object was made. A parent that ends leaves its children to
// another process.
class LauncherProcess {
 public:
  // Whoever was started by init, or outlived its shell before it came here, has none to lose.
  bool gone() const { return pid_ != 1 && ::getppid() != pid_; }
  std::string words() const;  // "the launcher (pid 4711) is gone"

 private:
  pid_t pid_ = ::getppid();
};

}  // namespace trireme::comm
