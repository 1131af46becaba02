#include "launcher/checkpoint/structure.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

constexpr size_t kMostProblems = 100;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// The number of a shard's name, or -1.
int64_t shard_number(const std::string& name) {
  constexpr std::string_view kFront = "shard-";
  int64_t number = -1;
  if (name.starts_with(kFront))
    std::from_chars(name.data() + kFront.size(), name.data() + name.size(), number);
  return number >= 0 && number < kMaxShards && shard_name(static_cast<int>(number)) == name ? number
                                                                                            : -1;
}

// Calls `report` with each name that is not part of a checkpoint of so many shards.
template <typename Report>
void find_surplus(const BeneathFolder& folder, int64_t shards, const Report& report) {
  const int descriptor = ::openat(folder.descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, CloseFolder> entries(descriptor < 0 ? nullptr
                                                                 : ::fdopendir(descriptor));
  if (!entries) refuse(folder.path().string(), "cannot be listed: {}", std::strerror(errno));
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    const int64_t number = shard_number(name);
    const bool part = name == "." || name == ".." || name == kManifestName ||
                      name == kManifestTextName || (number >= 0 && number < shards);
    if (!part && !report(name)) return;
  }
}

// A name from a folder goes to a terminal.
std::string printable(std::string name) {
  std::ranges::replace_if(
      name, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return name;
}

}  // namespace

Manifest read_manifest(const BeneathFolder& folder) {
  const OpenedFile file = folder.open(kManifestName);
  if (file.bytes > kMaxManifestBytes)
    refuse(file.path, "has {} bytes, at most {} are allowed", file.bytes, kMaxManifestBytes);
  std::vector<std::byte> bytes(static_cast<size_t>(file.bytes));
  read_or_refuse(file, 0, bytes.data(), file.bytes);
  return decode(bytes, file.path);
}

OpenedFile open_shard(const BeneathFolder& folder, int number, const ShardRecord& record) {
  OpenedFile file = folder.open(shard_name(number));
  if (file.bytes != record.bytes)
    refuse(file.path, "has {} bytes, the manifest says {}", file.bytes, record.bytes);
  return file;
}

void check_header(const OpenedFile& file, const ShardRecord& record) {
  uint64_t length = 0;
  read_or_refuse(file, 0, &length, sizeof(length));
  if (length != static_cast<uint64_t>(record.header_bytes) - 8)
    refuse(file.path, "says that its header has {} bytes, the manifest says {}", length,
           record.header_bytes - 8);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash(XXH3_createState(),
                                                                      XXH3_freeState);
  XXH3_64bits_reset(hash.get());
  std::vector<std::byte> part(static_cast<size_t>(std::min(kBlockBytes, record.header_bytes)));
  for (int64_t at = 0; at < record.header_bytes; at += std::ssize(part)) {
    const int64_t bytes = std::min(std::ssize(part), record.header_bytes - at);
    read_or_refuse(file, at, part.data(), bytes);
    XXH3_64bits_update(hash.get(), part.data(), static_cast<size_t>(bytes));
  }
  if (XXH3_64bits_digest(hash.get()) != record.header_hash)
    refuse(file.path, "its header is not the one that was written here");
}

void check_block(const std::string& path, const ShardRecord& record, int64_t block,
                 std::span<const std::byte> bytes) {
  if (XXH3_64bits(bytes.data(), bytes.size()) != record.block_checksums[block])
    refuse(path, "is damaged in its bytes {} to {}: their checksum is not the one written",
           block * kBlockBytes, block * kBlockBytes + std::ssize(bytes) - 1);
}

std::vector<std::string> check_structure(const BeneathFolder& folder, Manifest& manifest) {
  std::vector<std::string> problems;
  const auto attempt = [&](const auto& action) {
    try {
      if (problems.size() < kMostProblems) action();
      return true;
    } catch (const InvalidArgument& error) {
      problems.push_back(error.what());
      return false;
    }
  };
  if (!attempt([&] { manifest = read_manifest(folder); })) return problems;
  for (int number = 0; number < std::ssize(manifest.shards); ++number)
    attempt([&] {
      const ShardRecord& record = manifest.shards[number];
      check_header(open_shard(folder, number, record), record);
    });
  attempt([&] {
    find_surplus(folder, std::ssize(manifest.shards), [&](const std::string& name) {
      problems.push_back(fmt::format("{}: is not part of this checkpoint",
                                     (folder.path() / printable(name)).string()));
      return problems.size() < kMostProblems;
    });
  });
  return problems;
}

}  // namespace trireme::launcher
