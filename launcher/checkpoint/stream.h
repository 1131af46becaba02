// A whole checkpoint from one process, in some MiB of memory: what `reshard` and `import` write.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

// Elements that are in memory at a time: 16 MiB.
constexpr int64_t kStreamElements = int64_t{4} << 20;

// Fills `out` with the elements of a box of a tensor, row-major.
using ReadBox = std::function<void(int tensor, const Box& box, float* out)>;

// Makes `folder`, which must not be there yet, the checkpoint that `manifest` describes (its plan,
// without shards), of what `source` reads. Every byte is read back before the folder gets its name;
// whatever happens, there is the whole checkpoint or nothing. Returns the manifest with its shards.
// Throws InvalidArgument (kUsage) if there is something at `folder`, (kBadCheckpoint) for values
// that are not finite; SystemError if the disk fails; what `source` throws.
Manifest stream_checkpoint(const std::filesystem::path& folder, Manifest manifest,
                           const ReadBox& source);

}  // namespace trireme::launcher
