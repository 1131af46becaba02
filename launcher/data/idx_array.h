// An array of bytes in the IDX format: magic 00 00 TYPE RANK, RANK big-endian 32-bit dimensions,
// then the elements, the last dimension fastest.
//
// Nothing is believed before it is checked: dimensions are multiplied with care, a plain file must
// have exactly the size its header states, and a packed one is unpacked bit by bit, so that a
// header that lies costs no memory.
//
// Source: http://yann.lecun.com/exdb/mnist, "The IDX file format".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "launcher/data/byte_source.h"

namespace trireme::launcher {

// What a file must be: u8 with one of these ranks.
struct IdxKind {
  std::string_view plural;  // "images"
  int min_rank;
  int max_rank;
};
inline constexpr IdxKind kIdxImages{"images", 3, 4};
inline constexpr IdxKind kIdxLabels{"labels", 1, 1};

struct IdxHeader {
  std::vector<int64_t> dims;  // each at least 1; their product is below 2^62

  int64_t rows() const { return dims[0]; }
  int64_t row_bytes() const { return elements() / dims[0]; }
  int64_t elements() const;
  int64_t header_bytes() const { return 4 + 4 * static_cast<int64_t>(dims.size()); }
};

// Reads and checks the header, and the size of a plain file. Of a packed file only the first bytes
// are unpacked. Throws InvalidArgument (kBadData) as below.
IdxHeader read_idx_header(const File& file, const IdxKind& kind);

class IdxArray {
 public:
  // A plain file's elements stay in the file, a packed one's are unpacked into memory.
  // Throws InvalidArgument (kBadData), in one line with the file, what was expected and what came:
  // not a file, wrong magic, dimensions of 0 or too large, truncated, too long, corrupt gzip.
  IdxArray(File file, const IdxKind& kind);
  IdxArray(const std::string& path, const IdxKind& kind) : IdxArray(File(path), kind) {}

  const IdxHeader& header() const { return header_; }
  const std::string& path() const { return file_.path(); }

  // The bytes of rows [first, first + out.size() / row_bytes()). Thread-safe.
  // Throws InvalidArgument (kBadData) if a plain file has been cut short since.
  void read_rows(int64_t first, std::span<uint8_t> out) const;

 private:
  File file_;
  IdxHeader header_;
  bool in_memory_ = false;
  std::vector<uint8_t> unpacked_;
};

}  // namespace trireme::launcher
