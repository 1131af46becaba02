// Where a training run is, for the control plane's thread to read while the training thread works.
#pragma once

#include <atomic>
#include <mutex>

#include "comm/control/control_plane.h"
#include "core/runtime/session.h"

namespace trireme::launcher {

class RunStatus {
 public:
  // Training thread.
  void enter(comm::Phase phase) { phase_.store(phase, std::memory_order_relaxed); }
  comm::Phase phase() const { return phase_.load(std::memory_order_relaxed); }
  void attach(const core::Session& session);
  void detach();  // before the session dies

  // Any thread.
  comm::Status read() const;

 private:
  std::atomic<comm::Phase> phase_ = comm::Phase::kStart;
  mutable std::mutex mutex_;  // of attach and detach against read; never held for long
  const core::Session* session_ = nullptr;
};

// A session that is attached for as long as it lives.
class AttachedSession {
 public:
  AttachedSession(RunStatus& status, const core::Session& session) : status_(status) {
    status_.attach(session);
  }
  ~AttachedSession() { status_.detach(); }
  AttachedSession(const AttachedSession&) = delete;

 private:
  RunStatus& status_;
};

// A phase for as long as it lives; then the one before.
class InPhase {
 public:
  InPhase(RunStatus& status, comm::Phase phase) : status_(status), before_(status.phase()) {
    status_.enter(phase);
  }
  ~InPhase() { status_.enter(before_); }
  InPhase(const InPhase&) = delete;

 private:
  RunStatus& status_;
  comm::Phase before_;
};

}  // namespace trireme::launcher
