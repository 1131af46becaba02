// The bytes of a file from front to back, unpacked if it is gzip'ed.
//
// gzip is told by content. Its checksum and length are verified by the time the end is reached, and
// bytes after the end are an error: zlib's own gzread would pass over them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace trireme::launcher {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out` as far as there are bytes; fewer than out.size() mean the end.
  // Throws InvalidArgument (kBadData) naming the file if it is corrupt, SystemError if the disk
  // fails.
  virtual size_t read(std::span<uint8_t> out) = 0;
  virtual bool compressed() const = 0;
};

// A file opened for reading; an owner of its descriptor.
class File {
 public:
  // Throws InvalidArgument (kBadData) if `path` is missing, unreadable, empty, a directory or any
  // other thing than a regular file.
  explicit File(std::string path);
  // Bytes in memory, borrowed, that stand for the file `name`.
  File(std::string name, std::span<const uint8_t> bytes);
  File(File&& other) noexcept;
  ~File();

  // Bytes [offset, offset + out.size()) as far as they exist; returns how many. Thread-safe.
  size_t read_at(int64_t offset, std::span<uint8_t> out) const;
  int64_t bytes() const { return bytes_; }  // when it was opened
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;  // -1: the bytes are in memory
  std::span<const uint8_t> memory_;
  int64_t bytes_ = 0;
};

// `file` must outlive the source.
std::unique_ptr<ByteSource> open_byte_source(const File& file);

}  // namespace trireme::launcher
