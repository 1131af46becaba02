#include "launcher/train/agreement.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

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

}  // namespace

void agree(comm::Communicator& group, const std::function<void()>& step) {
  const std::optional<Failure> failure = failure_of(step);
  int32_t lowest = failure ? group.rank() : std::numeric_limits<int32_t>::max();
  group.all_reduce(std::span(&lowest, 1), core::ReduceOp::kMin, {}, "start-up agreement");
  if (lowest == std::numeric_limits<int32_t>::max()) return;
  int32_t code = failure ? static_cast<int32_t>(failure->code) : 0;
  group.broadcast(std::span(&code, 1), lowest, {}, "start-up agreement");
  if (lowest == group.rank()) throw AgreedFailure(failure->message, failure->code);
  throw PeerFailed(static_cast<ExitCode>(code));
}

}  // namespace trireme::launcher
