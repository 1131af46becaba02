// A shard: one safetensors file of a checkpoint, named by its number, never by a path.
//
// Pieces lie behind the header in the plan's order without gaps. The header's __metadata__ states
// the step and the shard's number, so that two shards never have the same header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/checkpoint/plan.h"

namespace trireme::launcher {

// What the manifest keeps of a shard's file.
struct ShardRecord {
  int64_t bytes = 0;                      // of the whole file
  int64_t header_bytes = 0;               // the length's 8 included: the first piece begins here
  uint64_t header_hash = 0;               // XXH3-64 of the first header_bytes bytes
  std::vector<uint64_t> block_checksums;  // XXH3-64 of each kBlockBytes of the file; the last short

  // For the way to the rank that writes the manifest: 3 words and one a block.
  std::vector<uint64_t> words() const;
  static ShardRecord from_words(std::vector<uint64_t> words);

  bool operator==(const ShardRecord&) const = default;
};

std::string shard_name(int number);  // "shard-00003.safetensors"

// The first bytes of shard `number`, up to its first piece: length, JSON, padding to 64 bytes.
std::string shard_header(const CheckpointPlan& plan, int number);

// The size of shard `number`'s file.
int64_t shard_bytes(const CheckpointPlan& plan, int number);

int64_t block_count(int64_t bytes);

}  // namespace trireme::launcher
