#include "launcher/checkpoint/verify.h"

#include <fcntl.h>

#include <algorithm>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/safetensors_header.h"
#include "launcher/checkpoint/shard_writer.h"
#include "launcher/checkpoint/structure.h"

namespace trireme::launcher {
namespace {

constexpr size_t kMostProblems = 100;

// The header as other programs read it says the same as the manifest.
void check_entries(const OpenedFile& file, const CheckpointPlan& plan, int number,
                   const ShardRecord& record) {
  std::string text(static_cast<size_t>(record.header_bytes - 8), '\0');
  read_or_refuse(file, 8, text.data(), std::ssize(text));
  const SafetensorsHeader header =
      parse_safetensors_header(text, record.bytes - record.header_bytes, file.path);
  const std::vector<Piece>& pieces = plan.shards[number];
  if (header.entries.size() != pieces.size())
    refuse(file.path, "its header has {} tensors, the manifest {} pieces", header.entries.size(),
           pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto& entry = header.entries[i];
    const Box& box = pieces[i].box;
    if (entry.name != plan.key(pieces[i]) ||
        !std::ranges::equal(entry.shape.dims(), std::span(box.extent).first(box.rank)))
      refuse(file.path, "its header has {} of shape {} where the manifest has {}", entry.name,
             entry.shape.str(), plan.key(pieces[i]));
  }
}

void check_blocks(const OpenedFile& file, const ShardRecord& record) {
  // The pages that a save just left in memory would hide what the disk made of them.
  ::posix_fadvise(file.file.get(), 0, 0, POSIX_FADV_DONTNEED);
  ::posix_fadvise(file.file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<std::byte> block(kBlockBytes);
  for (int64_t number = 0; number < block_count(record.bytes); ++number) {
    const int64_t begin = number * kBlockBytes;
    const int64_t bytes = std::min(kBlockBytes, record.bytes - begin);
    read_or_refuse(file, begin, block.data(), bytes);
    check_block(file.path, record, number, {block.data(), static_cast<size_t>(bytes)});
  }
}

}  // namespace

void verify_shard(const std::filesystem::path& folder, int number, const ShardRecord& record) {
  const OpenedFile file = open_shard(BeneathFolder(folder), number, record);
  check_header(file, record);
  check_blocks(file, record);
}

Verification verify_checkpoint(const std::filesystem::path& folder) {
  Verification result;
  try {
    const BeneathFolder beneath(folder);
    result.problems = check_structure(beneath, result.manifest);
    for (int number = 0; number < std::ssize(result.manifest.shards); ++number) {
      const ShardRecord& record = result.manifest.shards[number];
      try {
        const OpenedFile file = open_shard(beneath, number, record);
        check_header(file, record);
        check_blocks(file, record);
        check_entries(file, result.manifest.plan, number, record);
      } catch (const InvalidArgument& error) {
        // Structural ones were told above.
        if (result.problems.size() < kMostProblems &&
            std::ranges::find(result.problems, error.what()) == result.problems.end())
          result.problems.push_back(error.what());
      }
    }
  } catch (const InvalidArgument& error) {
    result.problems.push_back(error.what());
  }
  return result;
}

}  // namespace trireme::launcher
