#include "comm/control/control_plane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "comm/control/awake_clock.h"
#include "tests/comm/control/fake_job.h"

namespace trireme::comm::control {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

void sleep_ms(int time) { std::this_thread::sleep_for(milliseconds(time)); }

std::map<int, int> all_end_with(int code, const std::vector<int>& ranks) {
  std::map<int, int> codes;
  for (int rank : ranks) codes[rank] = code;
  return codes;
}

std::vector<int> every_rank(int size) {
  std::vector<int> ranks(size);
  for (int rank = 0; rank < size; ++rank) ranks[rank] = rank;
  return ranks;
}

// Body of a rank that only sees how the others end.
void stand_by(FakeRank& rank, ControlPlane&) { EXPECT_TRUE(rank.waits_for_end()) << rank.rank; }

class Ranks : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ControlPlane, Ranks, ::testing::Values(1, 2, 3, 7));

// --- goodbye

TEST_P(Ranks, LeaveInAnyOrder) {
  for (const bool rank_0_first : {true, false}) {
    FakeJob job{.ranks = GetParam()};
    job.run_planes([&](FakeRank& rank, ControlPlane&) {
      sleep_ms(20 * (rank_0_first ? rank.rank : GetParam() - rank.rank));
    });
    EXPECT_THAT(job.log.lines(), IsEmpty());
    EXPECT_THAT(job.log.codes(), IsEmpty());
  }
}

TEST_P(Ranks, LeaveAtOnce) {
  FakeJob job{.ranks = GetParam()};
  const auto start = std::chrono::steady_clock::now();
  for (int trial = 0; trial < 5; ++trial) job.run_planes([](FakeRank&, ControlPlane&) {});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_THAT(job.log.lines(), IsEmpty());
}

TEST(ControlPlane, WhoOutlivesRank0StillWatchesOverItself) {
  FakeJob job{.ranks = 2, .deadlines = FakeJob::all(milliseconds(200))};
  job.run_planes([](FakeRank& rank, ControlPlane&) {
    EXPECT_EQ(rank.rank == 1 && rank.waits_for_end(), rank.rank == 1);
  });
  EXPECT_THAT(job.log.lines(), ElementsAre(AllOf(StartsWith("hang: rank 1/2 on "),
                                                 EndsWith(": it is in the step"))));
  EXPECT_EQ(job.log.codes(), all_end_with(71, {1}));
}

// --- failures

TEST_P(Ranks, FailureOfAnyRankEndsAllWithItsCodeAndItsLine) {
  const int size = GetParam();
  for (const int bad : {0, size / 2, size - 1}) {
    FakeJob job{.ranks = size};
    job.run_planes([&](FakeRank& rank, ControlPlane& plane) {
      EXPECT_FALSE(plane.ending());
      barrier(rank.group);
      if (rank.rank == bad) plane.report_failure("[data] a torn\nfile", ExitCode::kBadData);
      stand_by(rank, plane);
      EXPECT_TRUE(plane.ending());
    });
    ASSERT_EQ(job.log.lines().size(), 1u);
    const std::string who = fmt::format("rank {}/{} on ", bad, size);
    EXPECT_THAT(job.log.lines().front(), StartsWith(size > 1 ? who : "[data]"));
    EXPECT_THAT(job.log.lines().front(), EndsWith("[data] a torn file"));
    EXPECT_EQ(job.log.codes(), all_end_with(66, every_rank(size)));
  }
}

TEST(ControlPlane, OfManyFailuresAtOnceOneIsSaid) {
  FakeJob job{.ranks = 7};
  job.run_planes([](FakeRank& rank, ControlPlane& plane) {
    plane.report_failure(fmt::format("failure {}", rank.rank), ExitCode{80 + rank.rank});
  });
  ASSERT_EQ(job.log.lines().size(), 1u);
  const std::string line = job.log.lines().front();
  EXPECT_EQ(job.log.codes(), all_end_with(80 + (line.back() - '0'), every_rank(7))) << line;
}

TEST(ControlPlane, WhoGetsNoAnswerSpeaksForItself) {
  FakeJob job{.ranks = 2};
  job.run([](FakeRank& rank) {
    if (rank.rank == 1) {
      const auto plane = rank.make_plane();
      plane->report_failure("nobody hears", ExitCode::kUsage);
      return;
    }
    Meeting meeting = meet(rank.group, "");
    std::vector<Connection> others = play_rank_0(meeting);
    others.front().send(Heartbeat{});
    sleep_ms(600);
    std::vector<size_t> kinds;  // and it tells rank 0 that it has
    while (const auto message = others.front().await(milliseconds(100)))
      if (message->index() > 2) kinds.push_back(message->index());
    EXPECT_THAT(kinds, ElementsAre(Message(Failure{}).index(), Message(End{}).index()));
  });
  EXPECT_THAT(job.log.lines(), ElementsAre(EndsWith(": nobody hears")));
  EXPECT_EQ(job.log.codes(), all_end_with(64, {1}));
}

// --- lost ranks

TEST(ControlPlane, LostRankIsNamedWithItsPlace) {
  FakeJob job{.ranks = 4};
  job.run([](FakeRank& rank) {
    if (rank.rank != 2) return stand_by(rank, *rank.make_plane());
    const Meeting meeting = meet(rank.group, "");
    Connection connection = join(meeting, milliseconds(2000));
    connection.send(Heartbeat{{5, 6, Phase::kStep, "backward of conv1"}});
  });
  ASSERT_EQ(job.log.lines().size(), 1u);
  EXPECT_THAT(job.log.lines().front(),
              AllOf(StartsWith("rank 2/4 on "), HasSubstr(fmt::format("(pid {})", getpid())),
                    EndsWith(" is gone: its connection closed while it was in backward of conv1")));
  EXPECT_EQ(job.log.codes(), all_end_with(70, {0, 1, 3}));
}

TEST(ControlPlane, FailureThatALostRankCausesIsNotSaid) {
  FakeJob job{.ranks = 3};
  job.pace.beat = milliseconds(100);
  std::atomic<bool> lost{false};
  job.run([&](FakeRank& rank) {
    if (rank.rank == 2) {
      const Meeting meeting = meet(rank.group, "");
      const Connection connection = join(meeting, milliseconds(2000));
      sleep_ms(50);
      lost = true;
      return;
    }
    const auto plane = rank.make_plane();
    while (!lost) sleep_ms(1);
    plane->report_failure("[mpi] a peer is lost", ExitCode::kInternal);
  });
  EXPECT_THAT(job.log.lines(), ElementsAre(StartsWith("rank 2/3 on ")));
}

void expect_flight(const std::filesystem::path& folder, int rank, const std::string& why) {
  std::ifstream file(folder / fmt::format("rank-{:05}.json", rank));
  const auto flight = nlohmann::json::parse(file);
  EXPECT_EQ(flight["rank"], rank);
  EXPECT_EQ(flight["where"], "the step");
  EXPECT_EQ(flight["why"], why);
  EXPECT_EQ(flight["ranks"][0][1], 5);
}

// Rank 0 says hello and one heartbeat; then it is gone, or says no more.
void lose_rank_0(bool silent, int code, const std::string& words) {
  const TemporaryFolder run;
  FakeJob job{.ranks = 4,
              .deadlines = FakeJob::all(milliseconds(400)),
              .flight_folder = run.path() / "flight"};
  job.run([&](FakeRank& rank) {
    if (rank.rank != 0) {
      const auto plane = rank.make_plane();
      while (!rank.log.ended(rank.rank)) rank.status.move(), sleep_ms(5);
      return;
    }
    Meeting meeting = meet(rank.group, "");
    std::vector<Connection> others = play_rank_0(meeting);
    for (Connection& other : others)
      other.send(Heartbeat{{5, 6, Phase::kStep, "prune of old checkpoints"}});
    for (int i = 0; silent && i < 1500 && rank.log.codes().size() < 3; ++i) sleep_ms(1);
  });
  ASSERT_EQ(job.log.lines().size(), 1u);
  const std::string line = job.log.lines().front();
  EXPECT_THAT(line, AllOf(HasSubstr("rank 0/4 on "), HasSubstr(words),
                          HasSubstr("in prune of old checkpoints")));
  EXPECT_EQ(job.log.codes(), all_end_with(code, {1, 2, 3}));
  for (int rank : {1, 2, 3}) {
    const auto path = run.path() / "flight" / fmt::format("rank-{:05}.json", rank);
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
  }
  if (!silent) expect_flight(run.path() / "flight", 2, line);
}

TEST(ControlPlane, LostRank0IsNamedByOneSurvivor) {
  lose_rank_0(false, 70, "is gone: its connection closed while it was");
}

TEST(ControlPlane, SilentRank0IsNamedByOneSurvivor) {
  lose_rank_0(true, 71, "has not been heard for 0.4 s");
}

TEST(ControlPlane, RankThatTalksNonsenseIsLost) {
  for (const std::string& nonsense :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(300, '\xff'), encode(Welcome{}),
        encode(Heartbeat{}).substr(0, 9) + std::string(40, '\x7f')}) {
    FakeJob job{.ranks = 2};
    job.run([&](FakeRank& rank) {
      if (rank.rank == 0) return stand_by(rank, *rank.make_plane());
      const Connection connection = join(meet(rank.group, ""), milliseconds(2000));
      ::send(connection.fd(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL);
      EXPECT_TRUE(wait_for(connection.fd(), POLLIN, milliseconds(2000)));
      while (!rank.log.ended(0)) sleep_ms(1);
    });
    EXPECT_THAT(job.log.lines(),
                ElementsAre(AllOf(StartsWith("rank 1/2 on "), HasSubstr("is gone: it sent "))));
  }
}

// --- hangs

TEST_P(Ranks, RankThatDoesNotMoveIsNamed) {
  const int size = GetParam();
  const TemporaryFolder run;
  FakeJob job{.ranks = size,
              .deadlines = FakeJob::all(milliseconds(400)),
              .flight_folder = run.path() / "flight"};
  job.run_planes([&](FakeRank& rank, ControlPlane& plane) {
    for (int i = 0; i < 20; ++i) rank.status.move(), sleep_ms(2);
    const bool culprit = rank.rank == size - 1;
    rank.status.set({9, culprit ? 1 : 50, culprit ? Phase::kData : Phase::kStep,
                     culprit ? "data.next" : "all_reduce of bucket 1"});
    stand_by(rank, plane);
  });
  ASSERT_EQ(job.log.lines().size(), 1u);
  const std::string line = job.log.lines().front();
  EXPECT_THAT(line, HasSubstr(" has not moved for 0."));
  EXPECT_THAT(line, HasSubstr(": it is in data.next"));
  if (size > 1) {
    EXPECT_THAT(line, StartsWith(fmt::format("hang: rank {}/{} on ", size - 1, size)));
    EXPECT_THAT(line, HasSubstr(size == 2 ? "; rank 0 waits in all_reduce of bucket 1"
                                          : " wait in all_reduce of bucket 1"));
  }
  EXPECT_EQ(job.log.codes(), all_end_with(71, every_rank(size)));
  for (int rank = 0; rank < size; ++rank)
    EXPECT_TRUE(
        std::filesystem::exists(run.path() / "flight" / fmt::format("rank-{:05}.json", rank)));
}

TEST(ControlPlane, DeadlockInWhichNobodyIsBehind) {
  FakeJob job{.ranks = 3, .deadlines = FakeJob::all(milliseconds(400))};
  job.run_planes(stand_by);
  EXPECT_THAT(job.log.lines(),
              ElementsAre(AllOf(StartsWith("hang: no rank is behind, and none has moved for 0."),
                                EndsWith(": ranks 0, 1 and 2 wait in the step"))));
  EXPECT_EQ(job.log.codes(), all_end_with(71, every_rank(3)));
}

TEST(ControlPlane, SilentRankIsNamedBeforeTheOneBehind) {
  FakeJob job{.ranks = 4, .deadlines = FakeJob::all(milliseconds(400))};
  job.run([](FakeRank& rank) {
    if (rank.rank == 1) rank.status.set({1, 0, Phase::kStep, "the place behind"});
    if (rank.rank != 2) return stand_by(rank, *rank.make_plane());
    Connection connection = join(meet(rank.group, ""), milliseconds(2000));
    connection.send(Heartbeat{{5, 6, Phase::kStep, "backward of conv1"}});
    while (!rank.log.ended(0)) sleep_ms(1);
  });
  ASSERT_EQ(job.log.lines().size(), 1u);
  EXPECT_THAT(job.log.lines().front(),
              AllOf(StartsWith("hang: rank 2/4 on "), HasSubstr("has not been heard for 0."),
                    HasSubstr("it was in backward of conv1; rank"),
                    HasSubstr("rank 1 waits in the place behind")));
  EXPECT_EQ(job.log.codes(), all_end_with(71, {0, 1, 3}));
}

TEST_P(Ranks, WhoMovesLivesPastItsDeadline) {
  FakeJob job{.ranks = GetParam(), .deadlines = FakeJob::all(milliseconds(300))};
  job.run_planes([](FakeRank& rank, ControlPlane&) {
    for (int i = 0; i < 90; ++i) rank.status.move(), sleep_ms(10);
  });
  EXPECT_THAT(job.log.lines(), IsEmpty());
  EXPECT_THAT(job.log.codes(), IsEmpty());
}

TEST(ControlPlane, DeadlinesMayBeChangedWhileTheJobRuns) {
  FakeJob job{.ranks = 2, .deadlines = FakeJob::all(milliseconds(300))};
  std::atomic<bool> was_alive{false};
  job.run_planes([&](FakeRank& rank, ControlPlane& plane) {
    plane.set_deadlines({});  // in minutes
    sleep_ms(700);
    if (rank.rank == 0) was_alive = !rank.log.ended(0);
    plane.set_deadlines(FakeJob::all(milliseconds(300)));
    stand_by(rank, plane);
  });
  EXPECT_TRUE(was_alive);
  EXPECT_THAT(job.log.lines(), ElementsAre(StartsWith("hang: no rank is behind")));
}

TEST(AwakeClock, StandsStillWhileTheProcessDoes) {
  AwakeClock clock(milliseconds(100));
  const auto start = clock.now();
  const auto real = AwakeClock::Base::now();
  clock.look(real + milliseconds(50));
  EXPECT_NEAR((clock.now() - start) / milliseconds(1), 50, 20);
  clock.look(real + std::chrono::hours(24));
  EXPECT_NEAR((clock.now() - start) / milliseconds(1), 150, 20);
}

// --- strangers

// Whether rank 0 closes the connection after these bytes, without an answer.
bool is_turned_away(const Meeting& meeting, const std::string& bytes) {
  std::string error;
  const UniqueFd fd =
      connect_to(meeting.addresses.front(), meeting.port, milliseconds(1000), error);
  ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  char answer;
  return wait_for(fd.get(), POLLIN, milliseconds(1000)) && recv(fd.get(), &answer, 1, 0) <= 0;
}

TEST(ControlPlane, StrangersAreTurnedAwayAndNothingElseHappens) {
  FakeJob job{.ranks = 3};
  job.run([](FakeRank& rank) {
    if (rank.rank != 2) {
      const auto plane = rank.make_plane();
      sleep_ms(200);
      return;
    }
    const Meeting meeting = meet(rank.group, "");
    Token wrong = meeting.token;
    wrong.back() ^= 1;
    EXPECT_TRUE(is_turned_away(meeting, encode(Hello{.token = wrong, .rank = 2})));
    EXPECT_TRUE(is_turned_away(meeting, encode(Hello{2, meeting.token, 2})));  // another version
    for (const int no_rank : {-1, 0, 3})
      EXPECT_TRUE(is_turned_away(meeting, encode(Hello{.token = meeting.token, .rank = no_rank})));
    EXPECT_TRUE(is_turned_away(meeting, "GET / HTTP/1.1\r\nHost: trireme\r\n\r\n"));
    EXPECT_TRUE(is_turned_away(meeting, std::string(100'000, '\xff')));
    EXPECT_TRUE(is_turned_away(meeting, encode(Failure{70, "not from a rank"})));
    EXPECT_TRUE(is_turned_away(meeting, encode(Goodbye{})));
    Connection connection = join(meeting, milliseconds(2000));
    std::string error;  // the door is shut once all are in
    sleep_ms(50);
    EXPECT_FALSE(connect_to(meeting.addresses.front(), meeting.port, milliseconds(500), error));
    EXPECT_EQ(error, "Connection refused");
    connection.send(Goodbye{});
    connection.finish();
    while (!connection.over()) connection.await(milliseconds(500));
  });
  EXPECT_THAT(job.log.lines(), IsEmpty());
  EXPECT_THAT(job.log.codes(), IsEmpty());
}

TEST(ControlPlane, RankThatDoesNotComeIsNamed) {
  FakeJob job{.ranks = 3, .deadlines = FakeJob::all(milliseconds(300))};
  job.run([](FakeRank& rank) {
    if (rank.rank != 1) return stand_by(rank, *rank.make_plane());
    const Meeting meeting = meet(rank.group, "");
    while (!rank.log.ended(0)) sleep_ms(1);
  });
  EXPECT_THAT(job.log.lines(),
              ElementsAre(AllOf(HasSubstr("rank 1/3 on "),
                                EndsWith("did not connect to rank 0 within 0.3 s"))));
  EXPECT_EQ(job.log.codes(), all_end_with(70, {0, 2}));
}

TEST(ControlPlane, WhoCannotReachRank0SaysWhere) {
  Meeting meeting;
  meeting.roster = {1, {{"node00", 1}, {"node01", 2}}};
  meeting.addresses = {"127.0.0.1", "not a number"};
  meeting.port = 1;
  EXPECT_THAT([&] { join(meeting, milliseconds(500)); },
              ::testing::ThrowsMessage<SystemError>(
                  HasSubstr("[control] cannot reach rank 0/2 on node00 (pid 1) over TCP: "
                            "127.0.0.1:1: Connection refused; not a number:1: not an address")));
}

}  // namespace
}  // namespace trireme::comm::control
