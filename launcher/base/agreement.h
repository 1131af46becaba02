// Steps that every rank takes, or none: the failure of one is the end of all, told once, by the
// rank that it happened to; or a reason for all to try something else.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "comm/communicator.h"
#include "core/base/error.h"

namespace trireme::launcher {

// Another rank failed and has said why; this one ends with the same code and says nothing.
class PeerFailed : public Error {
 public:
  explicit PeerFailed(ExitCode code) : Error("another rank failed", code) {}
};

// This rank failed, and every other knows: all can end in order.
class AgreedFailure : public Error {
 public:
  using Error::Error;
};

// Runs `step`, then compares notes with the group. If it threw on any rank, the lowest such rank
// throws AgreedFailure with what it caught, every other PeerFailed. Collective.
void agree(comm::Communicator& group, const std::function<void()>& step);

struct GroupFailure {
  int rank = 0;
  std::string message;
  ExitCode code = ExitCode::kInternal;
};

// Runs `step` on every rank. Nothing if all succeeded; else what the lowest rank that failed
// caught, the same on every rank. Collective.
std::optional<GroupFailure> try_together(comm::Communicator& group,
                                         const std::function<void()>& step);

// `text` of rank `root`, on every rank. Collective.
std::string broadcast_text(comm::Communicator& group, const std::string& text, int root);

}  // namespace trireme::launcher
