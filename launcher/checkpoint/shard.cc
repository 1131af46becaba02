#include "launcher/checkpoint/shard.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");

std::vector<uint64_t> ShardRecord::words() const {
  std::vector<uint64_t> words = {static_cast<uint64_t>(bytes), static_cast<uint64_t>(header_bytes),
                                 header_hash};
  words.insert(words.end(), block_checksums.begin(), block_checksums.end());
  return words;
}

ShardRecord ShardRecord::from_words(std::vector<uint64_t> words) {
  ensure(words.size() >= 3, "a shard's record has three words at least");
  ShardRecord record{.bytes = static_cast<int64_t>(words[0]),
                     .header_bytes = static_cast<int64_t>(words[1]),
                     .header_hash = words[2]};
  record.block_checksums.assign(words.begin() + 3, words.end());
  return record;
}

std::string shard_name(int number) { return fmt::format("shard-{:05}.safetensors", number); }

std::string shard_header(const CheckpointPlan& plan, int number) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = {{"trireme_checkpoint", "1"},
                            {"step", std::to_string(plan.step)},
                            {"shard", std::to_string(number)}};
  int64_t begin = 0;
  std::string text = header.dump();
  text.pop_back();
  for (const Piece& piece : plan.shards[number]) {
    const int64_t end = begin + plan.bytes(piece);
    const std::vector<int64_t> shape(piece.box.extent.begin(),
                                     piece.box.extent.begin() + piece.box.rank);
    // An object of many keys searches all of them for each new one; one piece a time does not.
    const nlohmann::ordered_json entry = {
        {"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, end}}};
    text += fmt::format(",{}:{}", nlohmann::ordered_json(plan.key(piece)).dump(), entry.dump());
    begin = end;
  }
  text += '}';
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');  // the format allows spaces behind it
  if (std::ssize(text) > kMaxShardHeaderBytes)
    refuse(shard_name(number), "its header of {} bytes would be above the format's {}", text.size(),
           kMaxShardHeaderBytes);
  const uint64_t length = text.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + text;
}

int64_t shard_bytes(const CheckpointPlan& plan, int number) {
  auto bytes = static_cast<int64_t>(shard_header(plan, number).size());
  for (const Piece& piece : plan.shards[number]) bytes += plan.bytes(piece);
  return bytes;
}

int64_t block_count(int64_t bytes) { return bytes / kBlockBytes + (bytes % kBlockBytes != 0); }

}  // namespace trireme::launcher
