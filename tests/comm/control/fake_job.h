// A job whose ranks are threads, each with a control plane whose end is written down instead of
// carried out; and ranks that are played by the test itself, byte by byte.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "comm/control/control_plane.h"
#include "comm/control/meeting.h"

namespace trireme::comm::control {

using std::chrono::milliseconds;

// What all ranks of a job said, and how they ended.
class JobLog {
 public:
  void say(const std::string& line);
  void end(int rank, int code);
  std::vector<std::string> lines() const;
  std::map<int, int> codes() const;  // by rank
  bool ended(int rank) const { return codes().contains(rank); }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  std::map<int, int> codes_;
};

// The status of a rank, as its plane sees it.
class FakeStatus {
 public:
  void set(const Status& status);
  Status get() const;
  void move();  // to the next place

 private:
  mutable std::mutex mutex_;
  Status status_{.pass = 1, .place = 1, .phase = Phase::kStep, .where = "the step"};
};

// One rank of a FakeJob, on its own thread.
struct FakeRank {
  int rank;
  Communicator& group;
  FakeStatus& status;
  JobLog& log;
  const std::function<std::unique_ptr<ControlPlane>()>& make_plane;  // collective

  // Whether the plane ended this rank within two seconds.
  bool waits_for_end() const;
};

struct FakeJob {
  int ranks = 1;
  Deadlines deadlines = all(milliseconds(10'000));
  std::filesystem::path flight_folder{};
  ControlPace pace{milliseconds(10), milliseconds(50), milliseconds(300), milliseconds(50)};
  JobLog log{};

  static Deadlines all(milliseconds time) { return {time, time, time, time, time, time}; }
  void run(const std::function<void(FakeRank&)>& body);
  // Every rank makes a plane, and `body` runs with it.
  void run_planes(const std::function<void(FakeRank&, ControlPlane&)>& body);
};

// Rank 0 played by the test: the connections of all others, to whom it has said welcome.
std::vector<Connection> play_rank_0(Meeting& meeting);

// A folder of its own, removed in the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace trireme::comm::control
