// Steps of the start-up that every rank takes, or none: the failure of one is the end of all, told
// once, by the rank that it happened to.
#pragma once

#include <functional>

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

}  // namespace trireme::launcher
