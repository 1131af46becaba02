#include "launcher/plan/measure.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "tests/support/ranks.h"

namespace trireme::launcher {
namespace {

// By rank.
std::map<int, core::LinkModel> measured(int ranks) {
  std::mutex mutex;
  std::map<int, core::LinkModel> links;
  testing::run_ranks(ranks, [&](comm::Communicator& group) {
    const auto device = core::make_cpu_device(1);
    const core::LinkModel link = time_messages(group, *device);
    const std::scoped_lock lock(mutex);
    links[group.rank()] = link;
  });
  return links;
}

TEST(TimeMessages, AreTheSameForAllRanks) {
  for (const int ranks : {2, 3}) {
    const auto links = measured(ranks);
    for (const auto& [rank, link] : links) {
      EXPECT_GT(link.latency_seconds, 0) << rank;
      EXPECT_GT(link.bytes_per_second, 0) << rank;
      EXPECT_EQ(link.latency_seconds, links.at(0).latency_seconds) << rank;
      EXPECT_EQ(link.bytes_per_second, links.at(0).bytes_per_second) << rank;
    }
  }
}

TEST(TimeMessages, OfOneRankAreNone) { EXPECT_EQ(measured(1).at(0).bytes_per_second, 0); }

}  // namespace
}  // namespace trireme::launcher
