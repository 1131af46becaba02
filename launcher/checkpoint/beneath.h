// Files of a folder that may be hostile, opened by name and never through a link.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "launcher/base/file_descriptor.h"

namespace trireme::launcher {

// A regular file with one name, opened to read.
struct OpenedFile {
  FileDescriptor file;
  std::string path;  // for messages
  int64_t bytes = 0;
};

// A folder whose files are opened beneath it: by openat2 with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS, or where the kernel has none by openat with O_NOFOLLOW of a name without a
// slash. The folder itself is opened as it was named: that is its caller's word.
class BeneathFolder {
 public:
  // Throws InvalidArgument (kBadCheckpoint) if it is no folder.
  explicit BeneathFolder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return directory_.get(); }

  // Throws InvalidArgument (kBadCheckpoint), with the file's path, for whatever is missing, a
  // symbolic link, a fifo, a folder, a device, or has a second name. Never blocks.
  OpenedFile open(const std::string& name) const;

 private:
  std::filesystem::path path_;
  FileDescriptor directory_;
};

// Reads `bytes` at `offset`; throws InvalidArgument (kBadCheckpoint) if they cannot be read.
void read_or_refuse(const OpenedFile& file, int64_t offset, void* out, int64_t bytes);

}  // namespace trireme::launcher
