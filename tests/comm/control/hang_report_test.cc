#include "comm/control/hang_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme::comm::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr milliseconds kSilence{3000};

Roster roster(int size) {
  Roster roster;
  for (int rank = 0; rank < size; ++rank)
    roster.members.push_back({"node0" + std::to_string(rank), 100 + rank});
  return roster;
}

// Ranks that have stood still for 61 s in `where`, all at one place.
std::vector<RankView> waiting(int size, const std::string& where = "all_reduce of bucket 1") {
  std::vector<RankView> ranks;
  for (int rank = 0; rank < size; ++rank)
    ranks.push_back({.rank = rank,
                     .status = {7, 20, Phase::kStep, where},
                     .still = seconds(61),
                     .silent = milliseconds(300)});
  return ranks;
}

std::optional<HangReport> report(const std::vector<RankView>& ranks, Deadlines deadlines = {}) {
  return find_hang(ranks, roster(static_cast<int>(ranks.size())), deadlines, kSilence);
}

TEST(HangReport, NamesTheRankBehindAndWhereTheOthersWait) {
  auto ranks = waiting(4);
  ranks[2].status = {7, 3, Phase::kData, "train: data.next of micro-batch 0"};
  const auto hang = report(ranks);
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(2));
  EXPECT_EQ(hang->line,
            "hang: rank 2/4 on node02 (pid 102) has not moved for 61 s: it is in train: data.next "
            "of micro-batch 0; ranks 0, 1 and 3 wait in all_reduce of bucket 1");
}

TEST(HangReport, AnEarlierPassIsBehindWhateverItsPlace) {
  auto ranks = waiting(3);
  ranks[0].status = {6, 99, Phase::kStep, "the update"};
  EXPECT_THAT(report(ranks)->culprits, ElementsAre(0));
}

TEST(HangReport, SilentRanksComeBeforeThoseBehind) {
  auto ranks = waiting(4);
  ranks[1].status.place = 1;
  ranks[3].silent = seconds(60);
  ranks[3].status.where = "backward of conv1";
  const auto hang = report(ranks);
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(3));
  EXPECT_THAT(hang->line,
              HasSubstr("rank 3/4 on node03 (pid 103) has not been heard for 60 s: it was in "
                        "backward of conv1; ranks 0, 1 and 2 wait in"));
}

TEST(HangReport, RankIsSilentAfterHalfItsDeadline) {
  auto ranks = waiting(3);
  ranks[0].status.place = 1;
  ranks[2].silent = seconds(31);
  EXPECT_THAT(report(ranks)->culprits, ElementsAre(2));
  ranks[2].silent = seconds(29);
  EXPECT_THAT(report(ranks)->culprits, ElementsAre(0));
  for (RankView& rank : ranks) rank.still = rank.silent = seconds(31);
  EXPECT_FALSE(report(ranks));  // nobody is late
}

// A rank that stopped just after a change of phase was heard in the one before, which may last
// long.
TEST(HangReport, NoPhaseExcusesSilenceOnceOthersAreLate) {
  auto ranks = waiting(3);
  ranks[1].status = {0, 0, Phase::kStart, ""};
  ranks[1].still = ranks[1].silent = seconds(61);  // the start's deadline is 600 s
  EXPECT_THAT(report(ranks)->culprits, ElementsAre(1));
  for (RankView& rank : ranks) rank.still = seconds(59);  // nobody is late yet
  EXPECT_FALSE(report(ranks));
}

TEST(HangReport, SaysSoWhenNobodyIsBehind) {
  auto ranks = waiting(4);
  ranks[0].status.where = ranks[1].status.where = "send to rank 2";
  ranks[3].still = seconds(75);
  const auto hang = report(ranks);
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, IsEmpty());
  EXPECT_EQ(hang->line,
            "hang: no rank is behind, and none has moved for 61 s: ranks 0 and 1 wait in send to "
            "rank 2; ranks 2 and 3 wait in all_reduce of bucket 1");
}

TEST(HangReport, SeveralCulpritsAreGroupedByPlace) {
  auto ranks = waiting(9);
  for (int rank : {1, 2, 5}) ranks[rank].status = {7, 2, Phase::kData, "data.next"};
  ranks[5].status.where = "augment";
  const auto hang = report(ranks);
  EXPECT_THAT(hang->culprits, ElementsAre(1, 2, 5));
  EXPECT_THAT(hang->line, HasSubstr("ranks 1 and 2 of 9 have not moved for 61 s: they are in "
                                    "data.next; rank 5/9 on node05 (pid 105) has not moved"));
  EXPECT_THAT(hang->line, HasSubstr("ranks 0, 3, 4, 6, 7 and 8 wait in"));
}

TEST(HangReport, NobodyIsAccusedBeforeTheDeadlineOfItsPhase) {
  EXPECT_FALSE(report(waiting(3), {.step = seconds(61)}));
  EXPECT_TRUE(report(waiting(3), {.step = seconds(60)}));
  EXPECT_FALSE(report(waiting(3), {.step = seconds(0)}));  // no deadline
}

TEST(HangReport, WhoWaitsForARankInTimeIsNoHang) {
  auto ranks = waiting(3);
  ranks[0].status = {6, 5, Phase::kCheckpoint, "the checkpoint"};
  EXPECT_FALSE(report(ranks));
  EXPECT_TRUE(report(ranks, {.checkpoint = seconds(60)}));
  ranks[0].still = milliseconds(10);  // slow, but it moves
  EXPECT_FALSE(report(ranks, {.checkpoint = seconds(60)}));
}

TEST(HangReport, RanksThatLeftAreNotLookedAt) {
  auto ranks = waiting(3);
  ranks[1].left = ranks[2].left = true;
  ranks[1].status.place = 1;
  ranks[2].silent = seconds(100);
  const auto hang = report(ranks);
  ASSERT_TRUE(hang);
  EXPECT_EQ(hang->line,
            "hang: rank 0/3 on node00 (pid 100) has not moved for 61 s: it is in all_reduce of "
            "bucket 1");
  ranks[0].left = true;
  EXPECT_FALSE(report(ranks));
}

TEST(HangReport, OneProcessIsNoRank) {
  EXPECT_EQ(report(waiting(1, ""))->line,
            "hang: the process (pid 100) has not moved for 61 s: it is in phase 'step'");
}

TEST(HangReport, AThousandRanksFitOneLine) {
  auto ranks = waiting(1000);
  for (int rank = 100; rank < 200; ++rank)
    ranks[rank].status.where = "place " + std::to_string(rank);
  ranks[999].status.place = 0;
  const std::string line = report(ranks)->line;
  EXPECT_THAT(line, HasSubstr("ranks 0-99 and 200-998 wait in all_reduce of bucket 1"));
  EXPECT_THAT(line, HasSubstr("95 more ranks elsewhere"));
  EXPECT_LT(line.size(), 600u);
}

TEST(HangReport, NumbersInWords) {
  EXPECT_EQ(in_words(std::vector{4}), "rank 4");
  EXPECT_EQ(in_words(std::vector{0, 1}), "ranks 0 and 1");
  EXPECT_EQ(in_words(std::vector{0, 1, 3}), "ranks 0, 1 and 3");
  EXPECT_EQ(in_words(std::vector{0, 2, 3, 4, 5, 9}), "ranks 0, 2-5 and 9");
  EXPECT_EQ(in_words(milliseconds(360)), "0.4 s");
  EXPECT_EQ(in_words(milliseconds(61'400)), "61 s");
}

}  // namespace
}  // namespace trireme::comm::control
