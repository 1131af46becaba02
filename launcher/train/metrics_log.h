// metrics.jsonl: one JSON object a line, written as it happens, for people and scripts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace trireme::launcher {

struct StepRecord {
  int64_t step = 0;  // 1 is the first
  double epoch = 0;  // of training data seen after the step
  double loss = 0;   // weighted total of the losses' global means
  double lr = 0;
  double grad_norm = 0;  // before clipping
  double samples_per_second = 0;
  double step_ms = 0;
  bool applied = true;  // false: the update was refused (non-finite)
};

struct EvalRecord {
  int64_t step = 0;
  double epoch = 0;
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics;  // ("accuracy", 0.97)

  std::string text() const;  // "loss 0.0912  accuracy 0.9720"
};

class MetricsLog {
 public:
  // Throws InvalidArgument if the file cannot be written.
  explicit MetricsLog(const std::filesystem::path& path);

  void write(const StepRecord& record);
  void write(const EvalRecord& record);

 private:
  void line(const std::string& text);

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace trireme::launcher
