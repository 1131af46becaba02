// A shard of tokens, nanoGPT's or llm.c's, or a text.
//
// Required: errors are one line that names the file, with the code for bad data; a shard that is
// accepted gives all of its tokens, each below the vocabulary; memory does not grow with what a
// header states.
#include <algorithm>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "launcher/data/token_file.h"
#include "tests/fuzz/heap_bound.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kVocabulary = 1 << 15;  // not all that sixteen bits can hold

void open(std::span<const uint8_t> bytes, TokenContent content) {
  const fuzz::HeapBound bound(bytes.size(), 1 << 20, 8);
  try {
    const TokenFile file(File("shard.bin", bytes), content);
    fuzz::count_accepted();
    fuzz::require(file.tokens() <= static_cast<int64_t>(bytes.size()), "the tokens are there");
    std::vector<int32_t> tokens(file.tokens());
    file.read(0, kVocabulary, tokens);
    fuzz::require(std::ranges::all_of(
                      tokens, [](int32_t token) { return 0 <= token && token < kVocabulary; }),
                  "tokens are below the vocabulary");
  } catch (const InvalidArgument& error) {
    fuzz::require(error.code() == ExitCode::kBadData, "bad data ends with 66");
    const std::string_view line = error.what();
    fuzz::require(line.find('\n') == std::string_view::npos, "an error is one line");
    fuzz::require(line.find("shard.bin") != std::string_view::npos, "an error names the file");
  }
}

}  // namespace
}  // namespace trireme::launcher

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trireme::launcher::open({data, size}, trireme::launcher::TokenContent::kShard);
  trireme::launcher::open({data, size}, trireme::launcher::TokenContent::kText);
  return 0;
}
