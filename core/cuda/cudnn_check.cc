#include "core/cuda/cudnn_check.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/base/error.h"
#include "core/cuda/check.h"

namespace trireme::core {
namespace {

// cuDNN's own account of its last refusal on this thread, on one line; may be empty.
std::string last_words() {
  std::array<char, 512> text{};
  cudnnGetLastErrorString(text.data(), text.size());
  std::string words(text.data());
  std::replace(words.begin(), words.end(), '\n', ' ');
  return words;
}

}  // namespace

void check(cudnnStatus_t status, std::source_location where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw SystemError(fmt::format("[cudnn] {}: {}", cudnnGetErrorString(status), last_words()),
                    where);
}

void check_noexcept(cudnnStatus_t status, std::source_location where) noexcept {
  if (status != CUDNN_STATUS_SUCCESS) report_failure("cudnn", cudnnGetErrorString(status), where);
}

}  // namespace trireme::core
