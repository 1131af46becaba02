#include "launcher/train/run_status.h"

namespace trireme::launcher {

void RunStatus::attach(const core::Session& session) {
  const std::lock_guard lock(mutex_);
  session_ = &session;
}

void RunStatus::detach() {
  const std::lock_guard lock(mutex_);
  session_ = nullptr;
}

comm::Status RunStatus::read() const {
  const std::lock_guard lock(mutex_);
  comm::Status status{.phase = phase()};
  if (session_ == nullptr) {
    status.where = "the start-up";
    return status;
  }
  const core::SessionPlace place = session_->place();
  status.pass = place.pass;
  status.place = place.place;
  status.where = status.phase == comm::Phase::kCheckpoint ? "the checkpoint that is being written"
                                                          : session_->where();
  return status;
}

}  // namespace trireme::launcher
