// What to do with a run folder: a pure function of what lies in it and what was asked for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/checkpoint/store.h"
#include "launcher/job/compare.h"

namespace trireme::launcher {

// --resume auto|never|CHECKPOINT.
struct ResumeRequest {
  enum class Kind { kAuto, kNever, kCheckpoint };
  Kind kind = Kind::kAuto;
  std::filesystem::path checkpoint;  // of kCheckpoint

  // "auto", "never", or else a checkpoint's folder.
  static ResumeRequest parse(const std::string& text);
};

struct RunContents {
  std::filesystem::path path;
  bool empty = true;                    // but for what a start that was cut short may leave
  bool has_model = false;               // model.safetensors: finished
  std::optional<std::string> resolved;  // the newest resolved job, and its name
  std::string resolved_name;
  std::vector<CheckpointStore::Entry> checkpoints;  // newest first
  std::optional<CheckpointStore::Entry> named;      // that --resume names, if it is committed
};

enum class RunState {
  kNew,       // from step 1; the folder may hold a run that had not saved yet
  kResume,    // from the newest of the candidates that can be read
  kFinished,  // nothing to do
};

struct RunDecision {
  RunState state = RunState::kNew;
  std::vector<CheckpointStore::Entry> candidates;  // newest first; for kResume at least one
  std::vector<JobDifference> changes;              // all of them allowed
  bool keep_job = false;    // the job differs from the one that was kept, or none was kept
  bool lengthened = false;  // a finished run goes on: its model is not the final one any more
  std::vector<std::string> notes;  // for people, a line each
};

// Throws InvalidArgument, with the fix, if the folder holds something else, another job's run, with
// --resume never anything at all; or if the named checkpoint is none, or is older than others there
// (kBadCheckpoint if it is none).
RunDecision decide(const RunContents& contents, const ResumeRequest& request,
                   const std::string& resolved);

}  // namespace trireme::launcher
