// Reads a checkpoint that any layout wrote.
//
// Structure first: the manifest, and each shard's presence, type, size and header, without reading
// what is behind the header. Then any box of any tensor, by positional reads of just the blocks
// needed; what is handed out are the very bytes whose checksum was found right.
//
// Files are opened beneath the folder only, through no symbolic link; what is not a regular file
// with one name (no fifo, no hard link) is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "launcher/checkpoint/beneath.h"
#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

// For one thread at a time. Holds one block (1 MiB) and one open shard.
class CheckpointReader {
 public:
  // Throws InvalidArgument (kBadCheckpoint) with the first line of check_structure (structure.h).
  explicit CheckpointReader(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_.path(); }
  const Manifest& manifest() const { return manifest_; }

  // The index of a tensor in manifest().plan.tensors, or -1.
  int find(const std::string& name, TensorRole role) const;

  // Fills `out` with the box's elements, row-major. Throws InvalidArgument (kBadCheckpoint) that
  // names the file and the bytes whose checksum is wrong; `out` then holds rubbish.
  void read(int tensor, const Box& wanted, float* out);

 private:
  struct Place {  // of a piece
    int shard = 0;
    int64_t begin = 0;  // byte in the shard's file
    Box box;
  };
  void find_places();
  void read_bytes(int shard, int64_t begin, std::byte* out, int64_t bytes);
  void load_block(int shard, int64_t block, std::byte* out);
  int64_t bytes_of(int shard, int64_t block) const;

  BeneathFolder folder_;
  Manifest manifest_;
  std::vector<std::vector<Place>> places_;          // of each tensor
  std::vector<std::pair<std::string, int>> index_;  // of each tensor's key, sorted
  int open_shard_ = -1;
  OpenedFile shard_;
  int cached_shard_ = -1;
  int64_t cached_block_ = -1;
  std::vector<std::byte> cache_;
};

}  // namespace trireme::launcher
