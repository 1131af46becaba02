#include "comm/control/control_plane.h"

#include <utility>

#include "comm/control/meeting.h"
#include "comm/control/plane_thread.h"

namespace trireme::comm {

ControlPlane::ControlPlane(Communicator& group, Options options) {
  control::Meeting meeting = control::meet(group, options.network_interface);
  thread_ = std::make_unique<Thread>(std::move(meeting), std::move(options));
}

ControlPlane::~ControlPlane() = default;

void ControlPlane::set_deadlines(const Deadlines& deadlines) { thread_->set_deadlines(deadlines); }

void ControlPlane::fail(const std::string& text, ExitCode code) noexcept {
  thread_->report_failure(text, code);
  std::_Exit(static_cast<int>(code));
}

void ControlPlane::report_failure(const std::string& text, ExitCode code) noexcept {
  thread_->report_failure(text, code);
}

bool ControlPlane::ending() const noexcept { return thread_->ending(); }

}  // namespace trireme::comm
