#include "launcher/train/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kAgreementNanoseconds = 500'000'000;
constexpr int64_t kSameSignalNanoseconds = 100'000'000;

// Lock-free, as handlers need them.
std::atomic<bool> requeue_asked = false;
std::atomic<int64_t> stop_asked_at = 0;  // monotonic nanoseconds; 0: never
std::atomic<bool> peers_expected = false;
std::atomic<bool> agreed = false;
std::atomic<bool> speaks = true;
timer_t deadline_timer;
static_assert(std::atomic<int64_t>::is_always_lock_free);

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

void exit_at_once(const char* why) {
  // Only what is safe in a handler.
  if (speaks.load()) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, why, std::strlen(why));
  }
  _exit(static_cast<int>(ExitCode::kStopForGood));
}

void on_usr1(int) { requeue_asked.store(true); }

void on_stop(int) {
  const int64_t time = now();
  int64_t first = 0;
  if (!stop_asked_at.compare_exchange_strong(first, time)) {
    if (time - first > kSameSignalNanoseconds)
      exit_at_once("trireme: stopped by a second signal; the last checkpoint stands\n");
    return;
  }
  if (!peers_expected.load()) return;
  itimerspec once{};
  once.it_value.tv_nsec = kAgreementNanoseconds;
  timer_settime(deadline_timer, 0, &once, nullptr);
}

void on_deadline(int) {
  if (agreed.load()) return;
  exit_at_once(
      "trireme: stopped by a signal before the other ranks agreed on a step; the last checkpoint "
      "stands\n");
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN;
  ensure(timer_create(CLOCK_MONOTONIC, &event, &deadline_timer) == 0, "a timer");
  handle(SIGRTMIN, on_deadline);
  handle(SIGUSR1, on_usr1);
  handle(SIGTERM, on_stop);
  handle(SIGINT, on_stop);
  handle(SIGXFSZ, SIG_IGN);
  handle(SIGPIPE, SIG_IGN);
}

StopRequest stop_requested() {
  if (stop_asked_at.load() != 0) return StopRequest::kStop;
  return requeue_asked.load() ? StopRequest::kRequeue : StopRequest::kNone;
}

void expect_peers(bool this_one_speaks) {
  speaks.store(this_one_speaks);
  peers_expected.store(true);
}

void say_nothing_more() { speaks.store(false); }

void stop_is_agreed() { agreed.store(true); }

}  // namespace trireme::launcher
