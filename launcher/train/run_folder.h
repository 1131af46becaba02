// RUN: what a run leaves behind. Owned by rank 0; other ranks never write there.
//
//   job.resolved.txtpb   the job with every default filled in; runs again and gives the same run
//   metrics.jsonl        one object a step, and one an evaluation
//   log.txt              what was printed
//   model.safetensors    the final parameters: its presence says that the run is finished
//   stopped.safetensors  the parameters of a run that a signal stopped early
#pragma once

#include <filesystem>
#include <string>

namespace trireme::launcher {

enum class RunState { kNew, kFinished };

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path model() const { return path_ / "model.safetensors"; }
  std::filesystem::path stopped_model() const { return path_ / "stopped.safetensors"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path resolved_job() const { return path_ / "job.resolved.txtpb"; }

  // Creates the folder (0700) for a new run, or finds a finished one of the same job.
  // Nothing that is there is ever overwritten: throws InvalidArgument, with the fix, if the folder
  // holds another job's run, an unfinished one, or (with `never_resume`) anything at all; and if it
  // cannot be written to.
  RunState open(const std::string& resolved_job, bool never_resume) const;

 private:
  std::filesystem::path path_;
};

}  // namespace trireme::launcher
