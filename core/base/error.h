// The two exceptions of Trireme, and the check that names its own place.
//
// InvalidArgument: the caller can mend it (a wrong shape, a bad job file, a corrupt data file).
// SystemError: the machine failed (CUDA, NCCL, MPI, disk, memory).
// Messages open with "[op]" or "file:line:column", say what was expected and what came. The
// launcher adds rank and host once, where it catches.
#pragma once

#if defined(__CUDACC__) && !defined(FMT_USE_CONSTEXPR)
#define FMT_USE_CONSTEXPR 1  // fmt 9 turns it off for nvcc, and then its own consteval fails
#endif
#include <fmt/format.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace trireme {

// Exit codes that users and scripts rely on (docs/architecture.md, "Contracts").
enum class ExitCode : int {
  kDone = 0,
  kUsage = 64,  // bad job file or command line
  kBadCheckpoint = 65,
  kBadData = 66,
  kInternal = 70,
  kHang = 71,
  kDiverged = 72,  // non-finite loss, or replicas differ
  kRequeue = 75,
  kStopForGood = 78,
};

class Error : public std::runtime_error {
 public:
  Error(const std::string& message, ExitCode code) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// The caller can mend it. `code` says which contract was broken: a job file, or data.
class InvalidArgument : public Error {
 public:
  explicit InvalidArgument(const std::string& message, ExitCode code = ExitCode::kUsage)
      : Error(message, code) {}
};

// The machine failed; `where` is the line of ours that noticed.
class SystemError : public Error {
 public:
  explicit SystemError(const std::string& message,
                       std::source_location where = std::source_location::current());
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw InvalidArgument(fmt::format(format, std::forward<Args>(args)...));
}

// Throws SystemError if a thing that only a mistake of ours can make false is false.
void ensure(bool holds, std::string_view what,
            std::source_location where = std::source_location::current());

}  // namespace trireme
