// A checkpoint's manifest. The file's hash would keep every change out, so that the input is taken
// twice: as a file, and as the payload of one whose magic, length and hash are right.
//
// Required: errors are one line with the code for bad checkpoints; what is accepted is encoded
// again to something that decodes to the same, and all tensors' elements are in its shards once.
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "launcher/checkpoint/envelope.h"
#include "launcher/checkpoint/manifest.h"
#include "tests/fuzz/heap_bound.h"

namespace trireme::launcher {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

void check_accepted(const Manifest& manifest) {
  fuzz::count_accepted();
  fuzz::require(decode(bytes_of(encode(manifest)), "again.pb") == manifest,
                "a manifest survives encoding");
  int64_t in_tensors = 0, in_shards = 0;
  for (const TensorSpec& tensor : manifest.plan.tensors) in_tensors += tensor.shape.elements();
  for (const auto& shard : manifest.plan.shards)
    for (const Piece& piece : shard) in_shards += manifest.plan.bytes(piece) / 4;
  fuzz::require(in_tensors == in_shards, "the shards hold what the tensors have");
}

void run(std::string_view file, size_t input_bytes) {
  const fuzz::HeapBound bound(input_bytes, 256 << 10, 512);
  try {
    check_accepted(decode(bytes_of(file), "manifest.pb"));
  } catch (const InvalidArgument& error) {
    fuzz::require(error.code() == ExitCode::kBadCheckpoint, "a bad checkpoint ends with 65");
    const std::string_view line = error.what();
    fuzz::require(line.find('\n') == std::string_view::npos, "an error is one line");
    fuzz::require(line.starts_with("manifest.pb: "), "an error names the file");
    fuzz::require(line.size() < 4096, "an error is short enough to be read");
  }
}

}  // namespace
}  // namespace trireme::launcher

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  trireme::launcher::run(bytes, size);
  trireme::launcher::run(trireme::launcher::close_envelope(bytes), size);
  return 0;
}
