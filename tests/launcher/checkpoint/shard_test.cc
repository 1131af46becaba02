#include "launcher/checkpoint/shard.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <csignal>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/safetensors.h"
#include "small_checkpoint.h"
#include "tests/support/file_calls.h"

namespace trireme::launcher {
namespace {

using core::DType;
using core::Shape;

// Several blocks and several writes, one of them without a copy, and no multiple of either.
const std::vector<TensorSpec> kLarge = {{"w", TensorRole::kParameter, DType::kF32, {2601, 1201}}};

std::vector<const std::byte*> pointers(const CheckpointPlan& plan, int shard,
                                       const std::vector<std::vector<float>>& values) {
  std::vector<const std::byte*> data;
  for (const Piece& piece : plan.shards[shard])
    data.push_back(reinterpret_cast<const std::byte*>(values[piece.tensor].data()) +
                   first_element(piece.box, plan.tensors[piece.tensor].shape) *
                       int64_t{sizeof(float)});
  return data;
}

TEST(Shard, RecordIsOfTheFilesBytes) {
  for (const auto& tensors : {small_tensors(), kLarge})
    for (const int shards : {1, 3}) {
      const TemporaryFolder folder;
      const Manifest manifest = write_checkpoint(folder.path(), split_replicated(tensors, shards),
                                                 random_values(tensors));
      for (int shard = 0; shard < shards; ++shard) {
        const std::string bytes = read_file(folder / shard_name(shard));
        const ShardRecord& record = manifest.shards[shard];
        EXPECT_EQ(record.bytes, std::ssize(bytes));
        EXPECT_EQ(record.bytes, shard_bytes(manifest.plan, shard));
        EXPECT_EQ(bytes.substr(0, record.header_bytes), shard_header(manifest.plan, shard));
        EXPECT_EQ(record.header_bytes % 64, 0);
        EXPECT_EQ(record.header_hash, XXH3_64bits(bytes.data(), record.header_bytes));
        ASSERT_EQ(std::ssize(record.block_checksums), (std::ssize(bytes) + (1 << 20) - 1) >> 20);
        for (size_t i = 0; i < record.block_checksums.size(); ++i) {
          const std::string block = bytes.substr(i << 20, 1 << 20);
          EXPECT_EQ(record.block_checksums[i], XXH3_64bits(block.data(), block.size()));
        }
        EXPECT_EQ(ShardRecord::from_words(record.words()), record);
      }
    }
}

TEST(Shard, IsASafetensorsFile) {
  const TemporaryFolder folder;
  const std::vector<TensorSpec> tensors = small_tensors();
  const auto values = random_values(tensors);
  const Manifest manifest = write_checkpoint(folder.path(), split_replicated(tensors, 3), values);
  for (int shard = 0; shard < 3; ++shard) {
    const SafetensorsFile file = read_safetensors(folder / shard_name(shard));
    EXPECT_EQ(file.metadata.at("step"), "200");
    EXPECT_EQ(file.metadata.at("shard"), std::to_string(shard));
    const std::vector<Piece>& pieces = manifest.plan.shards[shard];
    ASSERT_EQ(file.tensors.size(), pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      const Piece& piece = pieces[i];
      const NamedTensor& found = file.find(manifest.plan.key(piece));
      EXPECT_TRUE(std::ranges::equal(found.shape.dims(),
                                     std::span(piece.box.extent).first(piece.box.rank)));
      const int64_t first = first_element(piece.box, tensors[piece.tensor].shape);
      EXPECT_TRUE(std::ranges::equal(
          found.values, std::span(values[piece.tensor]).subspan(first, piece.box.elements())));
    }
  }
}

TEST(Shard, OfNoPieceIsAFileToo) {
  const TemporaryFolder folder;
  const std::vector<TensorSpec> tensors = {{"w", TensorRole::kParameter, DType::kF32, {2}}};
  write_checkpoint(folder.path(), split_replicated(tensors, 3), random_values(tensors));
  EXPECT_EQ(read_safetensors(folder / shard_name(0)).tensors.size(), 0u);
  EXPECT_EQ(read_safetensors(folder / shard_name(2)).tensors.size(), 1u);
  load(folder.path());
}

TEST(Shard, IsItsOwnersAlone) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(0);
  write_small(folder.path(), 2);
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::stat((folder / shard_name(1)).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST(Shard, NeverReplacesAFile) {
  const TemporaryFolder folder;
  const CheckpointPlan plan = split_replicated(kLarge, 1);
  const auto values = random_values(kLarge);
  const auto write = [&](const std::filesystem::path& to) -> std::string {
    try {
      write_shard(to, 0, plan, pointers(plan, 0, values));
      return "";
    } catch (const SystemError& error) {
      return error.what();
    }
  };
  write_file(folder / shard_name(0), "mine");
  EXPECT_NE(write(folder.path())
                .find("cannot create " + (folder / shard_name(0)).string() + ": File exists"),
            std::string::npos);
  EXPECT_EQ(read_file(folder / shard_name(0)), "mine");
  // A link that leads elsewhere is not followed.
  std::filesystem::remove(folder / shard_name(0));
  std::filesystem::create_symlink("elsewhere", folder / shard_name(0));
  EXPECT_NE(write(folder.path()).find("File exists"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "elsewhere"));
  EXPECT_NE(write(folder / "nowhere").find("No such file or directory"), std::string::npos);
}

TEST(Shard, DiskThatFailsIsTold) {
  const TemporaryFolder folder;
  const CheckpointPlan plan = split_replicated(kLarge, 1);
  const auto values = random_values(kLarge);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{1} << 20, (rlim_t{4} << 20) + 4096}) {
    std::string error;
    const rlimit small{limit, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    try {
      write_shard(folder.path(), 0, plan, pointers(plan, 0, values));
    } catch (const SystemError& failure) {
      error = failure.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_NE(error.find("cannot write " + (folder / shard_name(0)).string() + ": File too large"),
              std::string::npos)
        << error;
    std::filesystem::remove(folder / shard_name(0));
  }
  std::signal(SIGXFSZ, handler);
}

TEST(Shard, WritesAreLargeAndFailAsTheSystemSays) {
  const TemporaryFolder folder;
  const CheckpointPlan plan = split_replicated(kLarge, 1);
  const auto values = random_values(kLarge);
  const std::string name = shard_name(0);
  {
    const FileCalls watch({}, FileCalls::Threads::kAll);
    write_shard(folder.path(), 0, plan, pointers(plan, 0, values));
    const std::string write = "write " + name;
    EXPECT_EQ(watch.calls(), (std::vector<std::string>{write, write, write, "fsync " + name}));
  }
  for (const int error : {ENOSPC, EINVAL, FileCalls::kShort}) {
    std::filesystem::remove(folder / name);
    int writes = 0;
    const FileCalls once(
        [&](const std::string& call) {
          return call.starts_with("write") && ++writes == 2 ? error : 0;
        },
        FileCalls::Threads::kAll);
    const auto write = [&] {
      return write_shard(folder.path(), 0, plan, pointers(plan, 0, values));
    };
    if (error == ENOSPC) {
      EXPECT_THROW(write(), SystemError);
      EXPECT_EQ(writes, 2);
      continue;
    }
    // A file system without O_DIRECT, and a write that ends within a page: both go on.
    verify_shard(folder.path(), 0, write());
    EXPECT_GE(writes, 4) << error;
  }
}

TEST(Shard, VerifyReadsEveryByte) {
  const TemporaryFolder folder;
  const Manifest manifest =
      write_checkpoint(folder.path(), split_replicated(kLarge, 1), random_values(kLarge));
  verify_shard(folder.path(), 0, manifest.shards[0]);
  std::string bytes = read_file(folder / shard_name(0));
  bytes[(3 << 20) + 17] ^= 1;
  write_file(folder / shard_name(0), bytes);
  EXPECT_EQ(
      refusal_of([&] { verify_shard(folder.path(), 0, manifest.shards[0]); }, folder.path()),
      "shard-00000.safetensors: is damaged in its bytes 3145728 to 4194303: their checksum is "
      "not the one written");
}

}  // namespace
}  // namespace trireme::launcher
