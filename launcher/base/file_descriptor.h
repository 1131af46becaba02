// Open files.
#pragma once

#include <cstdint>

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

}  // namespace trireme::launcher
