// One end of the star of connections: rank 0's (hub.h) or another's (spoke.h). Everything here runs
// on the plane's thread, and nothing waits except `leave`.
#pragma once

#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/control/awake_clock.h"
#include "comm/control/connection.h"
#include "comm/control/control_plane.h"
#include "comm/control/crew_table.h"
#include "comm/control/roster.h"

namespace trireme::comm::control {

// Deadlines that any thread may set without a lock.
class SharedDeadlines {
 public:
  void set(const Deadlines& deadlines);
  Deadlines get() const;

 private:
  static constexpr size_t kCount = 6;
  std::array<std::atomic<int64_t>, kCount> milliseconds_{};
};

// What the plane knows, whichever end it is.
struct Crew {
  Roster roster;
  ControlPace pace;
  SharedDeadlines deadlines;
  AwakeClock clock;
  CrewTable table;

  Crew(Roster roster, const ControlPace& pace);
  int own() const { return roster.rank; }
  // The longest time between two heartbeats: short beside the deadlines, so that a rank that is
  // late can be told from one that is silent.
  std::chrono::milliseconds keepalive() const;
  // A rank unheard for so long is called silent, rather than behind, in a hang's report.
  std::chrono::milliseconds silence() const { return 3 * keepalive(); }

  std::optional<Failure> failure;  // this rank's own
  AwakeClock::Time failed_at;
};

// How the job ends.
struct Verdict {
  enum class Voice { kSpeak, kSaidAlready, kLowestSurvivor };

  std::string line;  // one line, without "trireme: "
  int code = 0;
  Voice voice = Voice::kSpeak;
  bool flight = false;
  // Before the process ends: for the launcher to end the job first, or, since mpirun ends all ranks
  // soon after the first two are gone, for the others to write their flight files.
  std::chrono::milliseconds wait{};
};

class Star {
 public:
  virtual ~Star() = default;

  virtual void watch(std::vector<pollfd>& set) const = 0;
  virtual void read() = 0;
  // Once in a beat: sends what is to be sent. The table has this rank's own status.
  virtual void beat() = 0;
  // Once in a beat, and after each `read`; the job goes on if there is none.
  virtual std::optional<Verdict> judge(bool on_beat) = 0;
  virtual void tell(const Verdict& verdict) = 0;
  // Whether all that is to be connected is.
  virtual bool complete() const { return true; }
  // Says goodbye, and waits until it has been heard, or a while.
  virtual void leave() = 0;
  // Waits until what was told has been heard, or a while.
  virtual void drain(std::chrono::milliseconds limit) = 0;
};

// "rank 2/4 on node07 (pid 123) is gone: its connection closed while it was in ..."
std::string gone_line(const Crew& crew, int rank, const std::string& why);
// `text` as it came from a rank: "rank 2/4 on node07: [nccl] ..."
std::string failure_line(const Crew& crew, int rank, const std::string& text);
// A hang among those whose statuses this process has: all on rank 0, else its own.
std::optional<Verdict> hang_verdict(const Crew& crew, const std::vector<RankView>& ranks);

// A heartbeat is due if the status has moved since the last, and once in `keepalive`.
class Pulse {
 public:
  bool due(const Status& status, AwakeClock::Time now, std::chrono::milliseconds keepalive);

 private:
  std::optional<Status> last_;
  AwakeClock::Time sent_{};
};

}  // namespace trireme::comm::control
