// Files that are written whole or not at all, and the descriptors below them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace trireme::launcher {

// Owns a POSIX file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

// Reads `bytes` at `offset`; false if the file ends before or the read fails.
bool read_exactly(const FileDescriptor& file, int64_t offset, void* out, int64_t bytes);

// A file that appears under its name only once it is complete: written under a temporary name,
// fsync, rename, fsync of the folder. Readable by its owner alone. Without commit() nothing is
// left. Throws SystemError that names the path and the system's own words.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;

  void write(const void* data, int64_t bytes);
  void commit();

 private:
  [[noreturn]] void fail_with(const char* action) const;

  std::filesystem::path path_, temporary_;
  FileDescriptor file_;
  bool committed_ = false;
};

// The same for a text.
void write_atomically(const std::filesystem::path& path, const std::string& text);

}  // namespace trireme::launcher
