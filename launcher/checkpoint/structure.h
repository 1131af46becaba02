// What can be said of a checkpoint without reading what lies behind its shards' headers.
#pragma once

#include <string>
#include <vector>

#include "launcher/checkpoint/beneath.h"
#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

// Reads manifest.pb. Throws InvalidArgument (kBadCheckpoint) with its path.
Manifest read_manifest(const BeneathFolder& folder);

// Opens shard `number` and checks its type and size. Throws InvalidArgument (kBadCheckpoint) with
// its path.
OpenedFile open_shard(const BeneathFolder& folder, int number, const ShardRecord& record);

// Compares a shard's header with its hash. Throws as open_shard does.
void check_header(const OpenedFile& shard, const ShardRecord& record);

// Compares block `block` of a shard, whose bytes are given, with its checksum. Throws
// InvalidArgument (kBadCheckpoint) with the path and the block.
void check_block(const std::string& path, const ShardRecord& record, int64_t block,
                 std::span<const std::byte> bytes);

// All that is wrong: the manifest, then each shard, then what is in the folder without being part
// of it. One line each that opens with the file's path, 100 at most; empty if all is well.
// `manifest` is filled in if it could be read.
std::vector<std::string> check_structure(const BeneathFolder& folder, Manifest& manifest);

}  // namespace trireme::launcher
