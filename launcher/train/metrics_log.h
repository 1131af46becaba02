// metrics.jsonl: one JSON object a line, written as it happens, for people and scripts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/runtime/device.h"
#include "launcher/base/file_descriptor.h"

namespace trireme::launcher {

struct StepRecord {
  int64_t step = 0;  // 1 is the first
  double epoch = 0;  // of training data seen after the step
  double loss = 0;   // weighted total of the losses' global means
  double lr = 0;
  double grad_norm = 0;  // before clipping
  double samples_per_second = 0;
  double tokens_per_second = 0;  // 0: samples are no language
  double step_ms = 0;
  core::CommunicationTimes communication;  // of rank 0; seconds 0: not measured, or none
  double loss_scale = 0;                   // of the next step; 0: there is none
  bool applied = true;                     // false: the update was refused (non-finite)
};

struct EvalRecord {
  int64_t step = 0;
  double epoch = 0;
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics;  // ("accuracy", 0.97)

  std::string text() const;  // "loss 0.0912  accuracy 0.9720"
};

struct CheckpointRecord {
  int64_t step = 0;  // that was saved; the line may come after those of later steps
  int64_t bytes = 0;
  double stall_ms = 0;   // that training waited
  double write_ms = 0;   // of rank 0's shard, with its flush
  double verify_ms = 0;  // to read it back, after the commit
  double save_ms = 0;    // from the snapshot to the commit
};

// Once, when a run is finished.
struct MemoryRecord {
  int64_t step = 0;
  std::vector<int64_t> before,
      peak;  // by rank: bytes of the process, before the arenas and at most
};

class MetricsLog {
 public:
  // Opens the file to go on after `step`: lines of later steps, and what is no whole line (a line
  // that was cut short when a process died), are dropped, all at once or not at all. 0: all are.
  // Throws InvalidArgument if the file cannot be written.
  MetricsLog(const std::filesystem::path& path, int64_t step);

  // A disk that is full or fails loses lines, not the run: see warning().
  void write(const StepRecord& record);
  void write(const EvalRecord& record);
  void write(const CheckpointRecord& record);
  void write(const MemoryRecord& record);

  // Once after the first of a row of lines that could not be written: why.
  std::optional<std::string> warning();

 private:
  void line(std::string text);

  std::filesystem::path path_;
  FileDescriptor file_;
  int64_t size_ = 0;  // of the whole lines
  bool failing_ = false;
  std::optional<std::string> warning_;
};

}  // namespace trireme::launcher
