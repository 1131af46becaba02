#include "launcher/train/progress.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int kBarWidth = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);

std::string bar(int64_t done, int64_t total) {
  const auto filled = static_cast<size_t>(total > 0 ? done * kBarWidth / total : kBarWidth);
  return '[' + std::string(filled, '=') + std::string(kBarWidth - filled, ' ') + ']';
}

// mpirun gives its ranks a terminal of their own even where nobody sits: what counts is where its
// own output goes. It is our parent on its host; on other hosts nobody is there to look.
bool person_watches(std::FILE* out) {
  if (isatty(fileno(out)) == 0) return false;
  if (!std::getenv("OMPI_COMM_WORLD_SIZE") && !std::getenv("PMI_SIZE")) return true;
  std::error_code error;
  const auto target =
      std::filesystem::read_symlink(fmt::format("/proc/{}/fd/1", getppid()), error).string();
  return !error && (target.starts_with("/dev/pts/") || target.starts_with("/dev/tty"));
}

std::shared_ptr<spdlog::logger> open_log(const std::filesystem::path& path) {
  try {
    const auto sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string());
    auto log = std::make_shared<spdlog::logger>("trireme", sink);
    log->set_pattern("%Y-%m-%d %H:%M:%S  %v");
    // A disk that is full loses lines of the log, not the run.
    log->set_error_handler([](const std::string&) {});
    return log;
  } catch (const spdlog::spdlog_ex& error) {
    fail("{}: {}; name another folder with --run-dir", path.string(), error.what());
  }
}

}  // namespace

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(seconds, 0.0) + 0.5);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

Progress::Progress(int64_t total_steps, int64_t every_steps, std::FILE* out,
                   const std::filesystem::path& log, int64_t steps_before)
    : total_(total_steps),
      before_(steps_before),
      every_(std::max<int64_t>(every_steps, 1)),
      out_(out),
      log_(open_log(log)),
      terminal_(person_watches(out)) {}

std::string Progress::text(const StepRecord& record) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double left = elapsed / static_cast<double>(record.step - before_) *
                      static_cast<double>(total_ - record.step);
  const std::string speed = record.tokens_per_second > 0
                                ? fmt::format("{:.0f} tokens/s", record.tokens_per_second)
                                : fmt::format("{:.0f} samples/s", record.samples_per_second);
  return fmt::format("step {}/{}  epoch {:.2f}  loss {:.4f}  lr {:.2e}  {}  {} left", record.step,
                     total_, record.epoch, record.loss, record.lr, speed, duration(left));
}

void Progress::step(const StepRecord& record) {
  const bool last = record.step == total_;
  if (record.step == before_ + 1 || record.step % every_ == 0 || last) {
    const std::string line = text(record);
    log_->info(line);
    if (!terminal_) fmt::print(out_, "{}\n", line);
    if (!terminal_) std::fflush(out_);
  }
  const Clock::time_point now = Clock::now();
  if (!terminal_ || (!last && now - last_drawn_ < kRedraw)) return;
  last_drawn_ = now;
  fmt::print(out_, "\r\033[K{} {}", bar(record.step, total_), text(record));
  std::fflush(out_);
  bar_shown_ = true;
}

void Progress::eval(const EvalRecord& record) {
  note(fmt::format("eval at step {}: {}", record.step, record.text()));
}

void Progress::note(const std::string& text) {
  clear();
  log_->info(text);
  log_->flush();
  fmt::print(out_, "{}\n", text);
  std::fflush(out_);
}

void Progress::finish() {
  if (bar_shown_) fmt::print(out_, "\n");
  bar_shown_ = false;
  std::fflush(out_);
}

void Progress::clear() {
  if (bar_shown_) fmt::print(out_, "\r\033[K");
  bar_shown_ = false;
}

}  // namespace trireme::launcher
