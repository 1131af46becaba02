// Steps of which a commit is made: each is one or two plain calls to the system, and each failure a
// SystemError with the path and the system's own words.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <source_location>
#include <string_view>

#include "launcher/base/file_descriptor.h"

namespace trireme::launcher {

// Throws SystemError "[file] cannot ACTION PATH: No space left on device".
[[noreturn]] void fail_on_file(const char* action, const std::filesystem::path& path,
                               int error = errno,
                               std::source_location where = std::source_location::current());

// Makes a folder for its owner alone (0700). One that is there already is fine.
void make_folder(const std::filesystem::path& path);

constexpr int64_t kBlockAlignment = 4096;

// A file that must not be there yet (O_EXCL, and no symbolic link is followed), 0600, written from
// its first byte to its last.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path);

  void write(const void* data, int64_t bytes);
  // The same for what is large: past the system's cache, in which it would push out what is wanted
  // again, where the file system can (O_DIRECT). `data`, `bytes` and what was written before are
  // multiples of kBlockAlignment.
  void write_blocks(const void* data, int64_t bytes);
  // Replaces bytes that were written.
  void rewrite(int64_t offset, const void* data, int64_t bytes);
  // A hint that the disk may start with what was written so far; flush() says whether it did.
  void start_flush();
  // Waits until it is on the disk.
  void flush();

 private:
  void use_cache(bool use);
  void put(const void* data, int64_t bytes);

  std::filesystem::path path_;
  FileDescriptor file_;
  bool cached_ = true;
  int64_t written_ = 0, flushing_ = 0;
};

// The same for a text: written whole, and on the disk.
void write_new_file(const std::filesystem::path& path, std::string_view contents);

// Waits until the names in a folder are on the disk.
void sync_folder(const std::filesystem::path& path);

// The folder in which `path` lies, "." for a bare name.
std::filesystem::path parent_of(const std::filesystem::path& path);

}  // namespace trireme::launcher
