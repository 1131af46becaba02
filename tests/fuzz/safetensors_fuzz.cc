// A safetensors file: length, header, tensors.
//
// Required: errors are one line with the code for bad checkpoints; the tensors that are accepted
// have different names and make up all bytes behind the header.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "launcher/checkpoint/safetensors.h"
#include "tests/fuzz/heap_bound.h"

namespace trireme::launcher {
namespace {

void check_accepted(const SafetensorsFile& file, std::span<const uint8_t> bytes) {
  fuzz::count_accepted();
  std::set<std::string> names;
  size_t elements = 0;
  for (const NamedTensor& tensor : file.tensors) {
    fuzz::require(names.insert(tensor.name).second, "tensors have different names");
    fuzz::require(tensor.shape.elements() == static_cast<int64_t>(tensor.values.size()),
                  "a tensor has the elements of its shape");
    fuzz::require(&file.find(tensor.name) == &tensor, "a tensor is found by its name");
    elements += tensor.values.size();
  }
  uint64_t header = 0;
  std::copy_n(bytes.data(), 8, reinterpret_cast<uint8_t*>(&header));
  fuzz::require(bytes.size() == 8 + header + 4 * elements, "every byte belongs to something");
}

void run(std::span<const uint8_t> bytes) {
  const fuzz::HeapBound bound(bytes.size(), 64 << 10, 512);
  try {
    check_accepted(parse_safetensors("model.safetensors", bytes), bytes);
  } catch (const InvalidArgument& error) {
    fuzz::require(error.code() == ExitCode::kBadCheckpoint, "a bad checkpoint ends with 65");
    const std::string_view line = error.what();
    fuzz::require(line.find('\n') == std::string_view::npos, "an error is one line");
    fuzz::require(line.starts_with("model.safetensors: "), "an error names the file");
    fuzz::require(line.size() < 4096, "an error is short enough to be read");
  }
}

}  // namespace
}  // namespace trireme::launcher

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trireme::launcher::run({data, size});
  return 0;
}
