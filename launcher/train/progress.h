// What a person sees while training: a bar on a terminal, plain lines otherwise; and log.txt, which
// gets the lines with their time either way. Rank 0 only.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "launcher/train/metrics_log.h"

namespace spdlog {
class logger;
}

namespace trireme::launcher {

class Progress {
 public:
  // `every_steps`: between two plain lines. Throws InvalidArgument if `log` cannot be written.
  // `steps_before`: done by the runs that this one goes on from.
  Progress(int64_t total_steps, int64_t every_steps, std::FILE* out,
           const std::filesystem::path& log, int64_t steps_before = 0);

  void step(const StepRecord& record);
  void eval(const EvalRecord& record);
  void note(const std::string& text);  // a line of its own; a bar is cleared first
  void finish();

 private:
  std::string text(const StepRecord& record) const;
  void clear();

  using Clock = std::chrono::steady_clock;
  int64_t total_, before_, every_;
  std::FILE* out_;
  std::shared_ptr<spdlog::logger> log_;
  bool terminal_;
  bool bar_shown_ = false;
  Clock::time_point start_ = Clock::now(), last_drawn_{};
};

// "1:02:03" or "2:03".
std::string duration(double seconds);

}  // namespace trireme::launcher
