// `trireme checkpoint ls`: what lies in a run folder, in its checkpoints, or in one checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

struct ListedCheckpoint {
  std::filesystem::path path;
  bool committed = true;  // false: what a save or a removal left behind
  std::string problem;    // the first structural one; empty if it is valid
  Manifest manifest;      // without block checksums; empty if it could not be read
};

// Newest first, leftovers last. `path` is a run folder, its checkpoints/ or one checkpoint. Reads
// manifests and shard headers alone. Throws InvalidArgument (kUsage) if there is no such folder.
std::vector<ListedCheckpoint> list_checkpoints(const std::filesystem::path& path);

}  // namespace trireme::launcher
