// An IDX file, plain or gzip'ed, opened as images and as labels.
//
// Required: errors are one line with the code for bad data; an array that is accepted gives all its
// rows; memory stays within what the bytes unpack to (deflate: at most 1,032 for one).
#include <algorithm>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "launcher/data/idx_array.h"
#include "tests/fuzz/heap_bound.h"

namespace trireme::launcher {
namespace {

void read_all(const IdxArray& array, size_t input_bytes) {
  fuzz::count_accepted();
  const IdxHeader& header = array.header();
  fuzz::require(header.elements() >= header.rows(), "rows of at least one byte");
  fuzz::require(header.elements() <= 1100 * static_cast<int64_t>(input_bytes),
                "the elements are there");
  std::vector<uint8_t> all(header.elements());
  array.read_rows(0, all);
  std::vector<uint8_t> last(header.row_bytes());
  array.read_rows(header.rows() - 1, last);
  fuzz::require(std::equal(last.rbegin(), last.rend(), all.rbegin()), "the last row is the last");
}

void open(std::span<const uint8_t> bytes, const IdxKind& kind) {
  // Buffers of zlib and of our own, then twice what was unpacked and the copies of read_all.
  const fuzz::HeapBound bound(bytes.size(), 3 << 20, 4 * 1032);
  try {
    read_idx_header(File("images.idx", bytes), kind);
    read_all(IdxArray(File("images.idx", bytes), kind), bytes.size());
  } catch (const InvalidArgument& error) {
    fuzz::require(error.code() == ExitCode::kBadData, "bad data ends with 66");
    const std::string_view line = error.what();
    fuzz::require(line.find('\n') == std::string_view::npos, "an error is one line");
    fuzz::require(line.find("images.idx") != std::string_view::npos, "an error names the file");
  }
}

}  // namespace
}  // namespace trireme::launcher

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trireme::launcher::open({data, size}, trireme::launcher::kIdxImages);
  trireme::launcher::open({data, size}, trireme::launcher::kIdxLabels);
  return 0;
}
