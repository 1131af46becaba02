#include "comm/local_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/base/error.h"

namespace trireme::comm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Visible = std::vector<std::vector<uint64_t>>;

std::vector<int> indices(const Visible& visible, bool share_gpu) {
  std::vector<int> result;
  for (size_t r = 0; r < visible.size(); ++r)
    result.push_back(local_device_index(static_cast<int>(r), visible, share_gpu));
  return result;
}

TEST(LocalDevice, RanksThatSeeAllTakeOneEach) {
  EXPECT_THAT(indices({{7, 8, 9, 4}, {7, 8, 9, 4}, {7, 8, 9, 4}}, false), ElementsAre(0, 1, 2));
}

TEST(LocalDevice, RanksThatSeeOneOfTheirOwnTakeIndexZero) {
  EXPECT_THAT(indices({{7}, {8}, {9}}, false), ElementsAre(0, 0, 0));
  EXPECT_THAT(indices({{7, 8}, {7, 8}, {9, 4}, {9, 4}}, false), ElementsAre(0, 1, 0, 1));
}

TEST(LocalDevice, OrderOfCudaVisibleDevicesIsEachRanksOwn) {
  EXPECT_THAT(indices({{7, 8}, {8, 7}}, false), ElementsAre(0, 0));
  EXPECT_THAT(indices({{7, 8}, {7, 8}}, false), ElementsAre(0, 1));
}

TEST(LocalDevice, MoreRanksThanGpusIsAnErrorOnEveryRank) {
  for (int r = 0; r < 3; ++r)
    EXPECT_THAT(
        [&] {
          local_device_index(r, Visible{{7, 8}, {7, 8}, {7, 8}}, false);
        },
        ThrowsMessage<InvalidArgument>(
            HasSubstr("3 ranks on this host, but local rank 2 finds its 2 GPU(s) taken")));
  EXPECT_THROW(indices({{7}, {7}}, false), InvalidArgument);
  EXPECT_THAT(
      [] {
        indices({{7}, {}}, true);
      },
      ThrowsMessage<InvalidArgument>(HasSubstr("local rank 1 sees no GPU")));
}

TEST(LocalDevice, SharedGpusAreSpreadEvenly) {
  EXPECT_THAT(indices(Visible(5, {7, 8}), true), ElementsAre(0, 1, 0, 1, 0));
  EXPECT_THAT(indices({{7}, {7}}, true), ElementsAre(0, 0));
  EXPECT_TRUE(ranks_share_gpus(Visible{{7}, {7}}));
  EXPECT_FALSE(ranks_share_gpus(Visible{{7}, {8}}));
}

TEST(LocalDevice, SharingGivesEachRankAHostOfItsOwn) {
  setenv("NCCL_NET", "IB", 1);
  set_shared_gpu_environment(3, true);
  EXPECT_STREQ(std::getenv("NCCL_HOSTID"), "trireme-rank-3");
  EXPECT_STREQ(std::getenv("NCCL_SOCKET_IFNAME"), "lo");
  EXPECT_STREQ(std::getenv("NCCL_NET"), "IB");  // the user's
}

}  // namespace
}  // namespace trireme::comm
