#include "parallel/group_members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/ranks.h"

namespace trireme::parallel {
namespace {

using ::testing::ElementsAre;

TEST(GroupMembers, OfTheMiddleOfAMesh) {
  const Mesh mesh({.data = 2, .tensor = 3, .pipeline = 4}, 24);
  const int rank = 1 + 3 * (1 + 2 * 2);  // tensor 1, data 1, stage 2
  EXPECT_THAT(group_members(mesh, kTensorGroup, rank), ElementsAre(15, 16, 17));
  EXPECT_THAT(group_members(mesh, kDataGroup, rank), ElementsAre(13, 16));
  EXPECT_THAT(group_members(mesh, kPipelineDown, rank), ElementsAre(4, 10, 16, 22));
  EXPECT_THAT(group_members(mesh, kTieGroup, rank, {0, 3}), ElementsAre());
  EXPECT_THAT(group_members(mesh, kTieGroup, rank + 6, {0, 3}), ElementsAre(4, 22));
  EXPECT_EQ(group_members(mesh, kWorldGroup, rank).size(), 24u);
}

// The communicators have as many members, and this rank in the same place.
TEST(GroupMembers, AreThoseOfTheCommunicators) {
  const Mesh mesh({.data = 2, .tensor = 1, .pipeline = 3}, 6);
  const std::vector<int> tied{0, 2};
  testing::run_ranks(6, [&](comm::Communicator& world) {
    const int stage = mesh.coordinate(world.rank(), Axis::kPipeline);
    const MeshGroups groups(world, mesh, stage != 1);
    for (int number = 0; number < kGroups; ++number) {
      const auto group = static_cast<Group>(number);
      const std::vector<int> ranks = group_members(mesh, group, world.rank(), tied);
      const comm::Communicator* communicator = groups.at(group);
      if (ranks.empty() || communicator == nullptr) {
        EXPECT_TRUE(ranks.empty() && communicator == nullptr) << name_of(group);
        continue;
      }
      EXPECT_EQ(communicator->size(), static_cast<int>(ranks.size())) << name_of(group);
      EXPECT_EQ(ranks.at(communicator->rank()), world.rank()) << name_of(group);
    }
  });
}

}  // namespace
}  // namespace trireme::parallel
