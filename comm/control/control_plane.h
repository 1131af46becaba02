// Watches over the ranks of a job: who failed first, who is gone, who hangs. Independent of MPI and
// NCCL, which know of a dead peer late and of a stopped one never.
//
// One thread a process looks up four times a second; TCP to rank 0, no encryption (a private
// network is assumed), a token of the run that every connection must show. Whatever happens, the
// process ends by `Options::end`, with ONE line in the whole job that names the rank:
//
//   a rank calls fail()        rank 0 prints its text; all end with its code
//   a rank's process is gone   rank 0 prints who, and where it was; all wait 2 s for the launcher
//   to
//                              end the job with its own status (137 for a SIGKILL), then end with
//                              70
//   rank 0 is gone or silent   the lowest survivor prints; all write flight files; 70, or 71 if
//                              rank 0 only went silent
//   no progress                a rank past its phase's deadline, and the ranks that the others wait
//                              for past theirs (hang_report.h): all write flight files, and end
//                              with 71
//   the launcher is gone       all end with 70
//
// Time is CLOCK_MONOTONIC, and stands still while the process itself is stopped, so that a job that
// was suspended whole (Ctrl-Z) goes on.
#pragma once

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/control/status.h"
#include "core/base/error.h"

namespace trireme::comm {

// How often the plane's thread does what. For tests.
struct ControlPace {
  std::chrono::milliseconds beat{250};  // between two looks at the status and the sockets
  std::chrono::milliseconds keepalive{
      1000};  // longest time between two heartbeats; a fifth of the shortest deadline if less
  std::chrono::milliseconds answer{1000};    // how long a failed rank waits for rank 0
  std::chrono::milliseconds farewell{2000};  // for the launcher to end a job that lost a rank
};

class ControlPlane {
 public:
  struct Options {
    // Called by the plane's thread at every beat: lock-free, since what it looks at may be stuck.
    std::function<Status()> status;
    Deadlines deadlines;                  // rank 0's count for all; the others' for rank 0
    std::filesystem::path flight_folder;  // RUN/flight, made when needed, 0700; empty: no files
    std::function<void(const std::string& line)> say;  // puts "trireme: " before, a newline after
    std::function<void(int code)> end = ::_exit;
    std::string network_interface{};  // by which rank 0 is reached, "eth0"; empty: any
    ControlPace pace{};
  };

  // Collective. Only addresses, the token, host names and pids go through `group`; with one rank
  // there are no sockets, just the watch over this process. On return every rank is connected.
  // Throws SystemError if rank 0 cannot listen (on every rank) or cannot be reached.
  ControlPlane(Communicator& group, Options options);
  // Says goodbye: a rank that did is not missed by the others, in whatever order they leave.
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // Any thread; takes no lock.
  void set_deadlines(const Deadlines& deadlines);

  // This rank failed on its own. Rank 0 prints the job's FIRST failure alone, and every rank ends
  // with that one's code within a second; if rank 0 does not answer, this rank speaks for itself.
  // Any thread.
  [[noreturn]] void fail(const std::string& text, ExitCode code) noexcept;
  // The same, but returns if `Options::end` does. For tests.
  void report_failure(const std::string& text, ExitCode code) noexcept;

  // Whether the plane is ending the job: what goes wrong from now on is not worth a line.
  bool ending() const noexcept;

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace trireme::comm
