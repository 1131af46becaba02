#include "launcher/train/agreement.h"

#include <cstdint>
#include <limits>
#include <span>

namespace trireme::launcher {
namespace {

ExitCode code_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code();
  } catch (...) {
    return ExitCode::kInternal;
  }
}

}  // namespace

void agree(comm::Communicator& group, const std::function<void()>& step) {
  std::exception_ptr failure;
  try {
    step();
  } catch (...) {
    failure = std::current_exception();
  }
  int32_t lowest = failure ? group.rank() : std::numeric_limits<int32_t>::max();
  group.all_reduce(std::span(&lowest, 1), core::ReduceOp::kMin, {}, "start-up agreement");
  if (lowest == std::numeric_limits<int32_t>::max()) return;
  int32_t code = failure ? static_cast<int32_t>(code_of(failure)) : 0;
  group.broadcast(std::span(&code, 1), lowest, {}, "start-up agreement");
  if (lowest == group.rank()) std::rethrow_exception(failure);
  throw PeerFailed(static_cast<ExitCode>(code));
}

}  // namespace trireme::launcher
