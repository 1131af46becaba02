#include "launcher/base/agreement.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace trireme::launcher {
namespace {

struct Failure {
  std::string message;
  ExitCode code = ExitCode::kInternal;
};

std::optional<Failure> failure_of(const std::function<void()>& step) {
  try {
    step();
    return std::nullopt;
  } catch (const Error& error) {
    return Failure{error.what(), error.code()};
  } catch (const std::exception& error) {
    return Failure{error.what()};
  }
}

constexpr int32_t kNobody = std::numeric_limits<int32_t>::max();

int32_t lowest_that(comm::Communicator& group, bool failed) {
  int32_t lowest = failed ? group.rank() : kNobody;
  group.all_reduce(std::span(&lowest, 1), core::ReduceOp::kMin, {}, "agreement");
  return lowest;
}

}  // namespace

void agree(comm::Communicator& group, const std::function<void()>& step) {
  const std::optional<Failure> failure = failure_of(step);
  const int32_t lowest = lowest_that(group, failure.has_value());
  if (lowest == kNobody) return;
  int32_t code = failure ? static_cast<int32_t>(failure->code) : 0;
  group.broadcast(std::span(&code, 1), lowest, {}, "agreement");
  if (lowest == group.rank()) throw AgreedFailure(failure->message, failure->code);
  throw PeerFailed(static_cast<ExitCode>(code));
}

std::optional<GroupFailure> try_together(comm::Communicator& group,
                                         const std::function<void()>& step) {
  const std::optional<Failure> failure = failure_of(step);
  const int32_t lowest = lowest_that(group, failure.has_value());
  if (lowest == kNobody) return std::nullopt;
  int32_t code = failure ? static_cast<int32_t>(failure->code) : 0;
  group.broadcast(std::span(&code, 1), lowest, {}, "agreement");
  return GroupFailure{lowest, broadcast_text(group, failure ? failure->message : "", lowest),
                      static_cast<ExitCode>(code)};
}

std::string broadcast_text(comm::Communicator& group, const std::string& text, int root) {
  auto length = static_cast<int64_t>(text.size());
  group.broadcast(std::span(&length, 1), root, {}, "length of a text");
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bytes.resize(static_cast<size_t>(length));
  group.broadcast(std::span(bytes), root, {}, "text");
  return {bytes.begin(), bytes.end()};
}

}  // namespace trireme::launcher
