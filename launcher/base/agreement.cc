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

// Nothing if the step succeeded on every rank. The message is only there on the rank that failed.
std::optional<GroupFailure> run_together(comm::Communicator& group,
                                         const std::function<void()>& step) {
  const std::optional<Failure> failure = failure_of(step);
  int32_t lowest = failure ? group.rank() : kNobody;
  group.all_reduce(std::span(&lowest, 1), core::ReduceOp::kMin, {}, "agreement");
  if (lowest == kNobody) return std::nullopt;
  int32_t code = failure ? static_cast<int32_t>(failure->code) : 0;
  group.broadcast(std::span(&code, 1), lowest, {}, "agreement");
  return GroupFailure{lowest, failure ? failure->message : "", static_cast<ExitCode>(code)};
}

}  // namespace

void agree(comm::Communicator& group, const std::function<void()>& step) {
  const std::optional<GroupFailure> failure = run_together(group, step);
  if (!failure) return;
  if (failure->rank == group.rank()) throw AgreedFailure(failure->message, failure->code);
  throw PeerFailed(failure->code);
}

std::optional<GroupFailure> try_together(comm::Communicator& group,
                                         const std::function<void()>& step) {
  std::optional<GroupFailure> failure = run_together(group, step);
  if (failure) failure->message = broadcast_text(group, failure->message, failure->rank);
  return failure;
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
