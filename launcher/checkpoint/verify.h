// `trireme checkpoint verify`: every byte of a checkpoint, in a few MiB of memory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

struct Verification {
  Manifest manifest;                  // as far as it could be read
  std::vector<std::string> problems;  // one line each, opening with the file's path
};

// Structure, then each shard's header as the safetensors format has it and against the manifest's
// pieces, then every block's checksum. Goes on at the next shard after a bad one.
Verification verify_checkpoint(const std::filesystem::path& folder);

}  // namespace trireme::launcher
