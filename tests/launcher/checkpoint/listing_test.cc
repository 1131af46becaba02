#include "launcher/checkpoint/listing.h"

#include <gtest/gtest.h>

#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

TEST(Listing, NewestFirstWithWhatIsWrong) {
  const TemporaryFolder run;
  const fs::path folder = run / "checkpoints";
  write_small(folder / "step-00000100", 2, 1, 100);
  write_small(folder / "step-00000200", 3, 1, 200);
  write_small(folder / "step-100000000", 1, 1, 100'000'000);
  fs::remove(folder / "step-00000200" / shard_name(1));
  fs::create_directories(folder / ".tmp-0123");
  fs::create_directories(folder / "step-00000300");
  write_file(folder / "note", "not a checkpoint");

  for (const fs::path& path : {run.path(), folder}) {
    const std::vector<ListedCheckpoint> listed = list_checkpoints(path);
    ASSERT_EQ(listed.size(), 5u);
    EXPECT_EQ(listed[0].path.filename(), "step-100000000");
    EXPECT_EQ(listed[0].problem, "");
    EXPECT_EQ(listed[1].problem,
              (folder / "step-00000300" / kManifestName).string() + ": is missing");
    EXPECT_EQ(listed[2].problem,
              (folder / "step-00000200" / shard_name(1)).string() + ": is missing");
    EXPECT_EQ(listed[2].manifest.counters.attempted_steps, 200);
    EXPECT_EQ(listed[3].manifest.shards.size(), 2u);
    EXPECT_EQ(listed[3].problem, "");
    EXPECT_FALSE(listed[4].committed);
  }
  const std::vector<ListedCheckpoint> one = list_checkpoints(folder / "step-00000100");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].problem, "");
}

TEST(Listing, NothingThere) {
  const TemporaryFolder folder;
  EXPECT_TRUE(list_checkpoints(folder.path()).empty());
  EXPECT_THROW(list_checkpoints(folder / "nowhere"), InvalidArgument);
}

}  // namespace
}  // namespace trireme::launcher
