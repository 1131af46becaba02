// The thread of a control plane, and what the other threads share with it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/control/control_plane.h"
#include "comm/control/meeting.h"
#include "comm/control/star.h"
#include "comm/launcher_process.h"

namespace trireme::comm {

class ControlPlane::Thread {
 public:
  Thread(control::Meeting meeting, Options options);
  ~Thread();

  void set_deadlines(const Deadlines& deadlines) { crew_.deadlines.set(deadlines); }
  void report_failure(const std::string& text, ExitCode code) noexcept;
  bool ending() const noexcept { return ending_.load(); }

 private:
  enum class Stage { kJoining, kRunning, kEnded };

  void run() noexcept;
  bool turn();  // false: it was the last
  std::optional<control::Verdict> judge(bool on_beat);
  void sleep();
  void take_failure();
  void observe_self();
  void carry_out(const control::Verdict& verdict);
  void speak_as_lowest(const control::Verdict& verdict);
  void wake() noexcept;
  void reach(Stage stage);
  bool wait_for(Stage stage, std::chrono::milliseconds limit);

  Options options_;
  std::string run_;
  LauncherProcess launcher_;
  control::Crew crew_;
  std::unique_ptr<control::Star> star_;
  control::UniqueFd bell_;
  control::AwakeClock::Base::time_point next_beat_;
  std::vector<pollfd> polled_;

  std::mutex mutex_;
  std::condition_variable reached_;
  Stage stage_ = Stage::kJoining;
  std::optional<control::Failure> failure_;
  std::atomic<bool> leaving_{false};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace trireme::comm
