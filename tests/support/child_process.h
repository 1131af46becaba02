// A process that a test starts by fork, and a pipe to talk with it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "core/base/error.h"

namespace trireme {

// A child process that runs `body` and then exits without destructors.
class Child {
 public:
  template <typename Body>
  explicit Child(Body body) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      body();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ~Child() { kill(); }
  Child(const Child&) = delete;

  pid_t pid() const { return pid_; }
  int wait() {
    int status = -1;
    if (!reaped_) ::waitpid(pid_, &status, 0);
    reaped_ = true;
    return status;
  }
  void kill() {
    if (reaped_) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

class Pipe {
 public:
  Pipe() {
    if (::pipe(ends_.data()) != 0) throw SystemError("no pipe");
  }
  ~Pipe() {
    close_write();
    ::close(ends_[0]);
  }
  void put(char c) const { ASSERT_EQ(::write(ends_[1], &c, 1), 1); }
  char get() const {  // 0: every writer has closed it
    char c = 0;
    return ::read(ends_[0], &c, 1) == 1 ? c : '\0';
  }
  void close_write() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

}  // namespace trireme
