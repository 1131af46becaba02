#include "tests/comm/control/fake_job.h"

#include <poll.h>
#include <stdlib.h>

#include <thread>

#include "core/base/error.h"
#include "tests/support/ranks.h"

namespace trireme::comm::control {

void JobLog::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(line);
}

void JobLog::end(int rank, int code) {
  const std::lock_guard lock(mutex_);
  if (!codes_.emplace(rank, code).second) lines_.push_back("a rank ended twice");
}

std::vector<std::string> JobLog::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

std::map<int, int> JobLog::codes() const {
  const std::lock_guard lock(mutex_);
  return codes_;
}

void FakeStatus::set(const Status& status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
}

Status FakeStatus::get() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void FakeStatus::move() {
  const std::lock_guard lock(mutex_);
  ++status_.place;
}

bool FakeRank::waits_for_end() const {
  for (int i = 0; i < 400 && !log.ended(rank); ++i) std::this_thread::sleep_for(milliseconds(5));
  return log.ended(rank);
}

void FakeJob::run(const std::function<void(FakeRank&)>& body) {
  testing::run_ranks(ranks, [&](Communicator& group) {
    const int rank = group.rank();
    FakeStatus status;
    const std::function<std::unique_ptr<ControlPlane>()> make_plane = [&] {
      ControlPlane::Options options;
      options.status = [&status] { return status.get(); };
      options.deadlines = deadlines;
      options.flight_folder = flight_folder;
      options.say = [this](const std::string& line) { log.say(line); };
      options.end = [this, rank](int code) { log.end(rank, code); };
      options.pace = pace;
      return std::make_unique<ControlPlane>(group, std::move(options));
    };
    FakeRank fake{rank, group, status, log, make_plane};
    body(fake);
  });
}

void FakeJob::run_planes(const std::function<void(FakeRank&, ControlPlane&)>& body) {
  run([&](FakeRank& rank) {
    const std::unique_ptr<ControlPlane> plane = rank.make_plane();
    body(rank, *plane);
  });
}

std::vector<Connection> play_rank_0(Meeting& meeting) {
  std::vector<Connection> ranks;
  while (static_cast<int>(ranks.size()) + 1 < meeting.roster.size()) {
    if (!wait_for(meeting.listener.get(), POLLIN, milliseconds(2000)))
      throw SystemError("a rank does not come");
    Connection connection(accept_from(meeting.listener), hello_bytes());
    if (!connection.await(milliseconds(2000))) throw SystemError("a rank does not say hello");
    connection.allow(longest_payload(meeting.roster.members.size()));
    connection.send(Welcome{meeting.token});
    ranks.push_back(std::move(connection));
  }
  Table table;
  table.rows.resize(meeting.roster.members.size());
  for (Connection& rank : ranks) rank.send(table);
  return ranks;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "trireme-control-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw SystemError("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace trireme::comm::control
