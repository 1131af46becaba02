#include "comm/control/plane_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "comm/control/errand.h"
#include "comm/control/flight.h"
#include "comm/control/hub.h"
#include "comm/control/spoke.h"

namespace trireme::comm {

using control::Verdict;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kErrandPatience{1000};  // for a disk, and for a terminal
constexpr milliseconds kFirstWords{200};       // before the others hear of it
constexpr milliseconds kLinger{300};           // for the others to hear how the job ends
constexpr milliseconds kStagger{100};          // between survivors, before they speak
constexpr milliseconds kLongestStagger{800};   // mpirun's SIGTERM comes after a second

// Signals are for the threads that know what to do with them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

control::UniqueFd make_bell() {
  control::UniqueFd bell(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell) throw SystemError("[control] cannot make an eventfd: " + control::words_of(errno));
  return bell;
}

std::unique_ptr<control::Star> make_star(control::Crew& crew, control::Meeting& meeting) {
  if (crew.own() == 0) return std::make_unique<control::Hub>(crew, meeting);
  return std::make_unique<control::Spoke>(crew, meeting);
}

}  // namespace

ControlPlane::Thread::Thread(control::Meeting meeting, Options options)
    : options_(std::move(options)),
      run_(meeting.run),
      crew_(meeting.roster, options_.pace),
      bell_(make_bell()),
      next_beat_(Clock::now()) {
  crew_.deadlines.set(options_.deadlines);
  star_ = make_star(crew_, meeting);
  {
    const SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
  }
  pthread_setname_np(thread_.native_handle(), "trireme-control");
  std::unique_lock lock(mutex_);
  reached_.wait(lock, [this] { return stage_ != Stage::kJoining; });
}

ControlPlane::Thread::~Thread() {
  leaving_ = true;
  wake();
  thread_.join();
}

void ControlPlane::Thread::report_failure(const std::string& text, ExitCode code) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = control::Failure{static_cast<int>(code), text};
  }
  wake();
  const milliseconds limit = options_.pace.answer + options_.pace.farewell + 3 * kErrandPatience;
  if (wait_for(Stage::kEnded, limit)) return;
  // The plane's own thread is stuck.
  const std::string line = control::failure_line(crew_, crew_.own(), text);
  control::Errand([say = options_.say, line] { say(line); }).wait(kErrandPatience);
  options_.end(static_cast<int>(code));
}

void ControlPlane::Thread::run() noexcept {
  while (turn()) {
  }
  reach(Stage::kEnded);
}

bool ControlPlane::Thread::turn() {
  sleep();
  const bool on_beat = Clock::now() >= next_beat_;
  crew_.clock.look();
  star_->read();
  take_failure();
  if (on_beat) {
    next_beat_ = Clock::now() + options_.pace.beat;
    observe_self();
    star_->beat();
  }
  if (const std::optional<Verdict> verdict = judge(on_beat)) {
    carry_out(*verdict);
    return false;
  }
  if (star_->complete()) reach(Stage::kRunning);
  if (!leaving_) return true;
  star_->leave();
  return false;
}

void ControlPlane::Thread::sleep() {
  polled_.assign(1, {bell_.get(), POLLIN, 0});
  star_->watch(polled_);
  const auto left = std::chrono::ceil<milliseconds>(next_beat_ - Clock::now());
  poll(polled_.data(), polled_.size(), static_cast<int>(std::max<int64_t>(0, left.count())));
  eventfd_t rings;
  if (polled_.front().revents != 0) eventfd_read(bell_.get(), &rings);
}

void ControlPlane::Thread::take_failure() {
  const std::lock_guard lock(mutex_);
  if (crew_.failure || !failure_) return;
  crew_.failure = failure_;
  crew_.failed_at = crew_.clock.now();
}

void ControlPlane::Thread::observe_self() {
  crew_.table.hear(crew_.own(), options_.status(), crew_.clock.now());
}

std::optional<Verdict> ControlPlane::Thread::judge(bool on_beat) {
  if (!launcher_.gone()) return star_->judge(on_beat);
  return Verdict{.line = launcher_.words(),
                 .code = static_cast<int>(ExitCode::kInternal),
                 .voice = crew_.own() == 0 ? Verdict::Voice::kSpeak : Verdict::Voice::kSaidAlready};
}

// The last thing the process does. Nothing in here may wait for long for anything.
void ControlPlane::Thread::carry_out(const Verdict& verdict) {
  ending_ = true;
  const auto since = Clock::now();
  std::optional<control::Errand> words;
  if (verdict.voice == Verdict::Voice::kSpeak)
    words.emplace([say = options_.say, line = verdict.line] { say(line); });
  // mpirun ends the rest of a job at its ranks' first ends: this line must be out by then.
  if (words) words->wait(kFirstWords);
  star_->tell(verdict);
  std::optional<control::Errand> flight;
  if (verdict.flight)
    flight.emplace([folder = options_.flight_folder, rank = crew_.own(),
                    text = control::flight_text(crew_.roster, run_, verdict.line,
                                                crew_.table.view(crew_.clock.now()))] {
      control::write_flight(folder, rank, text);
    });
  if (verdict.voice == Verdict::Voice::kLowestSurvivor) speak_as_lowest(verdict);
  star_->drain(kLinger);
  if (words) words->wait(kErrandPatience);
  if (flight) flight->wait(kErrandPatience);
  std::this_thread::sleep_until(since + verdict.wait);
  options_.end(verdict.code);
}

// Without rank 0 the survivors cannot talk. The lowest comes first, unless it is lost too; who
// finds that somebody has spoken says nothing.
void ControlPlane::Thread::speak_as_lowest(const Verdict& verdict) {
  std::this_thread::sleep_for(std::min(kStagger * (crew_.own() - 1), kLongestStagger));
  control::Errand([say = options_.say, folder = options_.flight_folder, run = run_,
                   line = verdict.line] {
    if (control::claim_voice(folder, run, line)) say(line);
  }).wait(kErrandPatience);
}

void ControlPlane::Thread::wake() noexcept { eventfd_write(bell_.get(), 1); }

void ControlPlane::Thread::reach(Stage stage) {
  const std::lock_guard lock(mutex_);
  if (stage_ >= stage) return;
  stage_ = stage;
  reached_.notify_all();
}

bool ControlPlane::Thread::wait_for(Stage stage, milliseconds limit) {
  std::unique_lock lock(mutex_);
  return reached_.wait_for(lock, limit, [&] { return stage_ >= stage; });
}

}  // namespace trireme::comm
