#include "comm/control/flight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/comm/control/fake_job.h"

namespace trireme::comm::control {
namespace {

const Roster kRoster{1, {{"node00", 100}, {"node\xff", 101}}};

std::vector<RankView> views() {
  return {{.rank = 0, .status = {3, 4, Phase::kData, ""}, .still = milliseconds(61'000)},
          {.rank = 1, .status = {3, 9, Phase::kStep, "all_reduce of bucket 1"}, .left = true}};
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

TEST(Flight, TellsWhoWhereAndWhy) {
  const auto flight = nlohmann::json::parse(flight_text(kRoster, "beef", "hang: ...", views()));
  EXPECT_EQ(flight["run"], "beef");
  EXPECT_EQ(flight["why"], "hang: ...");
  EXPECT_EQ(flight["rank"], 1);
  EXPECT_EQ(flight["size"], 2);
  EXPECT_EQ(flight["pid"], 101);
  EXPECT_EQ(flight["where"], "all_reduce of bucket 1");
  EXPECT_EQ(flight["ranks"][0], nlohmann::json({0, 3, 4, "data", 61'000, 0, false}));
  EXPECT_EQ(flight["ranks"][1].size(), flight["columns"].size());
  EXPECT_EQ(flight["ranks"][1].back(), true);
}

TEST(Flight, FilesAreForTheirOwnerAloneAndReplaceOlderOnes) {
  const TemporaryFolder run;
  const auto folder = run.path() / "flight";
  EXPECT_TRUE(write_flight(folder, 12, "old, and longer\n"));
  EXPECT_TRUE(write_flight(folder, 12, "new\n"));
  std::string text;
  std::getline(std::ifstream(folder / "rank-00012.json"), text);
  EXPECT_EQ(text, "new");
  EXPECT_EQ(mode_of(folder), 0700u);
  EXPECT_EQ(mode_of(folder / "rank-00012.json"), 0600u);
  EXPECT_FALSE(std::filesystem::exists(folder / "rank-00012.json.tmp"));
  EXPECT_FALSE(write_flight(run.path() / "no" / "such", 1, ""));
  EXPECT_FALSE(write_flight("", 1, ""));
}

TEST(Flight, OneSurvivorOfARunHasTheVoice) {
  const TemporaryFolder run;
  const auto folder = run.path() / "flight";
  std::atomic<int> voices{0};
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 7; ++rank)
    ranks.emplace_back([&] { voices += claim_voice(folder, "beef", "rank 0 is gone"); });
  for (std::thread& rank : ranks) rank.join();
  EXPECT_EQ(voices, 1);
  EXPECT_TRUE(claim_voice(folder, "f00d", "another run"));
  EXPECT_TRUE(claim_voice(run.path() / "no" / "such", "beef", "a line too many"));
}

}  // namespace
}  // namespace trireme::comm::control
