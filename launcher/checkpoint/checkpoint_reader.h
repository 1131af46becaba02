// Reads a checkpoint that any layout wrote.
//
// Structure first: the manifest, and each shard's presence, type, size and header, without reading
// what is behind the header. Then any box of any tensor, by positional reads of just the blocks
// needed; bytes are used only after their block's checksum was found right.
//
// Files are opened beneath the folder only, through no symbolic link; what is not a regular file
// with one name (no fifo, no hard link) is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "launcher/base/file_descriptor.h"
#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

// All that is structurally wrong with the checkpoint in `folder`, one line each that opens with the
// file's path; `manifest` is filled in if it could be read. Empty if all is well. At most 100
// lines.
std::vector<std::string> check_structure(const std::filesystem::path& folder, Manifest& manifest);

// For one thread at a time.
class CheckpointReader {
 public:
  // Throws InvalidArgument (kBadCheckpoint) with the first line of check_structure.
  explicit CheckpointReader(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const Manifest& manifest() const { return manifest_; }

  // The index of a tensor in manifest().plan.tensors, or -1.
  int find(const std::string& name, TensorRole role) const;

  // Fills `out` with the box's elements, row-major. Throws InvalidArgument (kBadCheckpoint) that
  // names the file and the block whose checksum is wrong; `out` then holds rubbish.
  void read(int tensor, const Box& wanted, float* out);

 private:
  struct Place {  // of a piece
    int shard = 0, piece = 0;
    int64_t begin = 0;  // byte in the shard's file
  };
  void read_bytes(int shard, int64_t begin, void* out, int64_t bytes);
  void load_block(int shard, int64_t block, void* out);

  std::filesystem::path folder_;
  FileDescriptor directory_;
  Manifest manifest_;
  std::vector<std::vector<Place>> places_;  // of each tensor
  int open_shard_ = -1, cached_shard_ = -1;
  FileDescriptor shard_;
  int64_t cached_block_ = -1;
  std::vector<std::byte> cache_;
};

}  // namespace trireme::launcher
