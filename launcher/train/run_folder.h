// RUN: what a run leaves behind. Owned by rank 0; other ranks never write there, except their
// shards.
//
//   job.resolved.txtpb   the job with every default filled in; runs again and gives the same run
//   job.resolved.N.txtpb N = 2, 3, ...: the same after a resume with changed fields; the last holds
//   metrics.jsonl        one object a step, and one an evaluation
//   log.txt              what was printed
//   checkpoints/         see checkpoint/store.h
//   flight/              what ranks wrote when they lost rank 0
//   model.safetensors    the final parameters: its presence says that the run is finished
//   model_average.safetensors  their moving average, of a job with train.average
//   model.before-N.safetensors, model_average.before-N.safetensors  those of the shorter run, if
//   job N made it longer lock, lock.guard     see base/run_lock.h
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/run_lock.h"
#include "launcher/checkpoint/store.h"
#include "launcher/train/run_decision.h"

namespace trireme::launcher {

struct OpenedRun {
  RunState state = RunState::kNew;
  std::vector<CheckpointStore::Entry> candidates;  // newest first; for kResume at least one
  std::vector<std::string> notes;                  // for people, a line each
};

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path model() const { return path_ / "model.safetensors"; }
  std::filesystem::path average() const { return path_ / "model_average.safetensors"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path flight() const { return path_ / "flight"; }
  std::filesystem::path resolved_job() const { return path_ / "job.resolved.txtpb"; }
  // The newest of the jobs that were kept; empty if there is none.
  std::filesystem::path newest_job() const;
  CheckpointStore checkpoints() const { return CheckpointStore(path_ / "checkpoints"); }

  // Finds out what is to be done (run_decision.h), and unless that is nothing takes the lock,
  // cleans up after a run that was killed and keeps the resolved job. Nothing that is there is ever
  // overwritten, and a folder that is refused is not touched.
  // Throws InvalidArgument with the fix if the folder is refused, in use, or cannot be written to.
  OpenedRun open(const std::string& resolved_job, const ResumeRequest& request,
                 RunLock::Options lock = {});

  // Whether the lock that open() took is still held; asked before each commit.
  bool still_mine() const { return lock_ && lock_->still_mine(); }
  void release() { lock_.reset(); }

 private:
  RunContents look(const ResumeRequest& request) const;
  void take(RunLock::Options options);
  void apply(const RunDecision& decision, const std::string& resolved);
  void clean(std::vector<std::string>& notes) const;
  int newest_resolved() const;  // 1: job.resolved.txtpb; 0: none
  std::filesystem::path resolved_job(int number) const;

  std::filesystem::path path_;
  std::optional<RunLock> lock_;
};

}  // namespace trireme::launcher
