// What accidents and hostile hands do to a checkpoint's files: refused, with the right file.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/structure.h"
#include "launcher/checkpoint/verify.h"
#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using core::DType;

// A small checkpoint of three shards, written anew for each test.
class Damage : public testing::Test {
 protected:
  Damage() : manifest_(write_small(folder_.path(), 3)) {}

  fs::path shard(int number) const { return folder_ / shard_name(number); }

  // The first thing that is wrong without reading payloads, without the folder's name.
  std::string structure() const {
    Manifest manifest;
    const auto problems = check_structure(BeneathFolder(folder_.path()), manifest);
    return problems.empty() ? "" : problems.front().substr(folder_.path().string().size() + 1);
  }
  // All of it, a line each.
  std::string verification() const {
    std::string lines;
    for (const std::string& problem : verify_checkpoint(folder_.path()).problems)
      lines += problem.substr(folder_.path().string().size() + 1) + "\n";
    return lines;
  }
  std::string loading() const {
    return refusal_of([&] { load(folder_.path()); }, folder_.path());
  }
  // All ways of looking refuse and name `file` first.
  void expect_refused(const std::string& file, const std::string& what) const {
    EXPECT_EQ(structure(), file + ": " + what);
    EXPECT_EQ(loading(), file + ": " + what);
    EXPECT_TRUE(verification().starts_with(file + ": " + what)) << verification();
  }

  TemporaryFolder folder_;
  Manifest manifest_;
};

void flip(int file, int64_t bit) {
  char byte = 0;
  ASSERT_EQ(::pread(file, &byte, 1, bit / 8), 1);
  byte ^= static_cast<char>(1 << bit % 8);
  ASSERT_EQ(::pwrite(file, &byte, 1, bit / 8), 1);
}

TEST_F(Damage, NothingIsWrongAtFirst) {
  EXPECT_EQ(structure(), "");
  EXPECT_EQ(loading(), "");
  EXPECT_EQ(verification(), "");
}

TEST_F(Damage, EveryBitOfEveryHeader) {
  for (int number = 0; number < 3; ++number) {
    const FileDescriptor file(::open(shard(number).c_str(), O_RDWR));
    for (int64_t bit = 0; bit < 8 * manifest_.shards[number].header_bytes; ++bit) {
      flip(file.get(), bit);
      ASSERT_TRUE(structure().starts_with(shard_name(number) + ": ")) << number << " " << bit;
      flip(file.get(), bit);
    }
  }
  EXPECT_EQ(structure(), "");
}

TEST_F(Damage, EveryBitOfEveryPayload) {
  for (int number = 0; number < 3; ++number) {
    const FileDescriptor file(::open(shard(number).c_str(), O_RDWR));
    const ShardRecord& record = manifest_.shards[number];
    for (int64_t bit = 8 * record.header_bytes; bit < 8 * record.bytes; ++bit) {
      flip(file.get(), bit);
      const std::string expected =
          fmt::format("{}: is damaged in its bytes 0 to {}: their checksum is not the one written",
                      shard_name(number), record.bytes - 1);
      ASSERT_EQ(refusal_of([&] { verify_shard(folder_.path(), number, record); }, folder_.path()),
                expected);
      if (bit % 64 == 5) {
        ASSERT_EQ(verification(), expected + "\n");
        ASSERT_EQ(loading(), expected);
      }
      flip(file.get(), bit);
    }
  }
  EXPECT_EQ(verification(), "");
}

TEST_F(Damage, EveryBitOfTheManifestsFile) {
  const fs::path path = folder_ / kManifestName;
  const FileDescriptor file(::open(path.c_str(), O_RDWR));
  for (int64_t bit = 0; bit < 8 * static_cast<int64_t>(fs::file_size(path)); ++bit) {
    flip(file.get(), bit);
    ASSERT_TRUE(structure().starts_with("manifest.pb: ")) << bit;
    flip(file.get(), bit);
  }
  EXPECT_EQ(structure(), "");
}

TEST_F(Damage, EveryLengthOfAShard) {
  const std::string bytes = read_file(shard(1));
  for (int64_t length = std::ssize(bytes) - 1; length >= 0; --length) {
    fs::resize_file(shard(1), length);
    const std::string expected =
        fmt::format("has {} bytes, the manifest says {}", length, bytes.size());
    ASSERT_EQ(structure(), shard_name(1) + ": " + expected);
    if (length % 97 == 0) expect_refused(shard_name(1), expected);
  }
  write_file(shard(1), bytes + "x");
  expect_refused(shard_name(1),
                 fmt::format("has {} bytes, the manifest says {}", bytes.size() + 1, bytes.size()));
}

TEST(LargeDamage, EveryFourthKibibyteOfAShard) {
  const TemporaryFolder folder;
  const std::vector<TensorSpec> tensors = {{"w", TensorRole::kParameter, DType::kF32, {611, 1201}}};
  write_checkpoint(folder.path(), split_replicated(tensors, 1), random_values(tensors));
  const auto bytes = static_cast<int64_t>(fs::file_size(folder / shard_name(0)));
  for (int64_t length = bytes / 4096 * 4096; length >= 0; length -= 4096) {
    fs::resize_file(folder / shard_name(0), length);
    ASSERT_EQ(
        refusal_of([&] { CheckpointReader reader(folder.path()); }, folder.path()),
        fmt::format("shard-00000.safetensors: has {} bytes, the manifest says {}", length, bytes));
  }
  // As long again as it was, but a hole.
  fs::resize_file(folder / shard_name(0), bytes);
  EXPECT_EQ(refusal_of([&] { CheckpointReader reader(folder.path()); }, folder.path()),
            fmt::format("shard-00000.safetensors: says that its header has 0 bytes, the manifest "
                        "says {}",
                        std::ssize(shard_header(split_replicated(tensors, 1), 0)) - 8));
}

TEST_F(Damage, AShardThatIsMissing) {
  for (int number = 0; number < 3; ++number) {
    const std::string bytes = read_file(shard(number));
    fs::remove(shard(number));
    expect_refused(shard_name(number), "is missing");
    write_file(shard(number), bytes);
  }
  fs::remove(folder_ / kManifestName);
  expect_refused("manifest.pb", "is missing");
}

TEST_F(Damage, ShardsInEachOthersPlace) {
  const std::string first = read_file(shard(0)), second = read_file(shard(1));
  write_file(shard(0), second);
  write_file(shard(1), first);
  EXPECT_TRUE(structure().starts_with(shard_name(0) + ": ")) << structure();
  EXPECT_NE(verification().find(shard_name(1) + ": "), std::string::npos);
  write_file(shard(0), first);  // doubled
  EXPECT_TRUE(structure().starts_with(shard_name(1) + ": ")) << structure();
}

TEST_F(Damage, AShardOfAnotherStepOrRun) {
  const TemporaryFolder other;
  write_small(other.path(), 3, 1, 300);
  const std::string own = read_file(shard(2));
  write_file(shard(2), read_file(other / shard_name(2)));
  expect_refused(shard_name(2), "its header is not the one that was written here");
  // Of the same step of another run: only the checksums tell.
  const TemporaryFolder twin;
  write_small(twin.path(), 3, 2, 200);
  write_file(shard(2), read_file(twin / shard_name(2)));
  EXPECT_EQ(structure(), "");
  EXPECT_TRUE(loading().starts_with(shard_name(2) + ": is damaged"));
  EXPECT_TRUE(verification().starts_with(shard_name(2) + ": is damaged"));
  write_file(shard(2), own);
  EXPECT_EQ(verification(), "");
}

TEST_F(Damage, AManifestOfAnotherCheckpoint) {
  const TemporaryFolder other;
  write_small(other.path(), 2);
  write_file(folder_ / kManifestName, read_file(other / kManifestName));
  EXPECT_TRUE(structure().starts_with(shard_name(0) + ": ")) << structure();
  EXPECT_NE(verification().find(shard_name(2) + ": is not part of this checkpoint"),
            std::string::npos);
}

TEST_F(Damage, WhatDoesNotBelongThere) {
  for (const std::string name :
       {"shard-00003.safetensors", "shard-00000.safetensors.bak", "shard-000000.safetensors",
        "shard-0.safetensors", "code.py", ".hidden"}) {
    write_file(folder_ / name, "x");
    expect_refused(name, "is not part of this checkpoint");
    fs::remove(folder_ / name);
  }
  write_file(folder_ / kManifestTextName, "anything: it is never read");
  EXPECT_EQ(verification(), "");
}

TEST_F(Damage, WhatIsNoRegularFile) {
  for (const std::string& name : {shard_name(1), std::string(kManifestName)}) {
    const fs::path path = folder_ / name;
    const std::string bytes = read_file(path);
    const TemporaryFolder outside;
    write_file(outside / name, bytes);

    fs::remove(path);
    fs::create_symlink(outside / name, path);
    expect_refused(name, "is a symbolic link, expected a regular file");
    fs::remove(path);
    fs::create_hard_link(outside / name, path);
    expect_refused(name, "has 2 names (hard links), expected one");
    fs::remove(path);
    fs::create_directory(path);
    expect_refused(name, "is a folder, expected a regular file");
    fs::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    expect_refused(name, "is a fifo, expected a regular file");
    write_file(path, bytes);
  }
  EXPECT_EQ(verification(), "");
}

TEST_F(Damage, EveryShardIsToldApart) {
  fs::remove(shard(0));
  fs::resize_file(shard(1), 10);
  write_file(folder_ / "x", "");
  EXPECT_EQ(verification(), fmt::format("{}: is missing\n{}: has 10 bytes, the manifest says {}\n"
                                        "x: is not part of this checkpoint\n",
                                        shard_name(0), shard_name(1), manifest_.shards[1].bytes));
}

TEST_F(Damage, AManifestLargerThanAllowed) {
  fs::resize_file(folder_ / kManifestName, kMaxManifestBytes + 1);  // a hole: no disk, no memory
  expect_refused("manifest.pb", fmt::format("has {} bytes, at most {} are allowed",
                                            kMaxManifestBytes + 1, kMaxManifestBytes));
}

TEST(NoCheckpoint, IsTold) {
  EXPECT_EQ(refusal_of([] { CheckpointReader reader("/nowhere/step"); }),
            "/nowhere/step: is no checkpoint: No such file or directory");
  EXPECT_EQ(verify_checkpoint("/nowhere/step").problems,
            std::vector<std::string>{"/nowhere/step: is no checkpoint: No such file or directory"});
}

}  // namespace
}  // namespace trireme::launcher
