// Files and folders that appear under their name whole or not at all: made under a temporary name
// beside it, flushed, renamed, the folder around them flushed. Readable by their owner alone.
// Without commit() nothing is left. Errors: SystemError with the path and the system's words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "launcher/base/durable.h"

namespace trireme::launcher {

// Replaces what has its name.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;

  void write(const void* data, int64_t bytes) { file_->write(data, bytes); }
  void rewrite(int64_t offset, const void* data, int64_t bytes) {
    file_->rewrite(offset, data, bytes);
  }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  std::optional<NewFile> file_;
  bool committed_ = false;
};

// The same for a text.
void write_atomically(const std::filesystem::path& path, const std::string& text);

// A folder of files, none of them a folder. What has its name stays: commit() then throws.
class AtomicFolder {
 public:
  // Throws InvalidArgument (kUsage) if there is something at `path`, or no folder around it.
  explicit AtomicFolder(std::filesystem::path path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;

  // Where its files are to be made, and flushed, until the commit.
  const std::filesystem::path& temporary() const { return temporary_; }
  const std::filesystem::path& path() const { return path_; }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  bool committed_ = false;
};

}  // namespace trireme::launcher
