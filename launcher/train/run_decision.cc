#include "launcher/train/run_decision.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

using Entry = CheckpointStore::Entry;
constexpr size_t kMostNamed = 5;

std::string joined(const std::vector<std::string>& items, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), kMostNamed); ++i)
    text += (i == 0 ? "" : std::string(separator)) + items[i];
  if (items.size() > kMostNamed) text += fmt::format(" and {} more", items.size() - kMostNamed);
  return text;
}

// The checkpoint that --resume names must be the newest: saves of the run that goes on from it
// would stand between newer ones, which belong to another course of the same run.
void check_named(const RunContents& contents, const ResumeRequest& request) {
  if (!contents.named)
    throw InvalidArgument(
        fmt::format("--resume {}: is no committed checkpoint; expects auto, never or a folder "
                    "step-NNNNNNNN with its {}",
                    request.checkpoint.string(), CheckpointStore::kManifest),
        ExitCode::kBadCheckpoint);
  std::vector<std::string> newer;
  for (const Entry& entry : contents.checkpoints)
    if (entry.step > contents.named->step) newer.push_back(CheckpointStore::name_of(entry.step));
  if (!newer.empty())
    fail(
        "--resume {}: run folder {} holds newer checkpoints ({}); name another folder with "
        "--run-dir, or move these away",
        request.checkpoint.string(), contents.path.string(), joined(newer, ", "));
}

void check_same_job(const RunContents& contents, const std::vector<JobDifference>& differences) {
  std::vector<std::string> others;
  for (const JobDifference& difference : differences)
    if (!difference.allowed) others.push_back(difference.str());
  if (!others.empty())
    fail(
        "run folder {}: holds a run of another job (its {} differs in {}); name another with "
        "--run-dir, or set {} back",
        contents.path.string(), contents.resolved_name, joined(others, "; "),
        others.size() == 1 ? "it" : "them");
}

bool length_changed(const std::vector<JobDifference>& changes) {
  return std::ranges::any_of(changes, [](const JobDifference& change) {
    return change.path == "train.steps" || change.path == "train.epochs";
  });
}

std::string folder_name(const RunContents& contents) { return contents.path.string(); }

void note_changes(RunDecision& decision, const RunContents& contents) {
  if (!contents.resolved && !contents.checkpoints.empty())
    decision.notes.push_back(fmt::format(
        "run folder {}: has checkpoints, but no job was kept with them", folder_name(contents)));
  for (const JobDifference& change : decision.changes)
    decision.notes.push_back(
        fmt::format("changed since {}: {}", contents.resolved_name, change.str()));
}

void choose_state(RunDecision& decision, const RunContents& contents,
                  const ResumeRequest& request) {
  const bool named = request.kind == ResumeRequest::Kind::kCheckpoint;
  decision.candidates = named ? std::vector<Entry>{*contents.named} : contents.checkpoints;
  if (contents.has_model && !length_changed(decision.changes)) {
    decision = {.state = RunState::kFinished};
    return;
  }
  decision.lengthened = contents.has_model;
  if (decision.lengthened && decision.candidates.empty())
    fail(
        "run folder {}: its run is finished, and left no checkpoint from which it could go on to "
        "another length; name another with --run-dir",
        folder_name(contents));
  decision.state = decision.candidates.empty() ? RunState::kNew : RunState::kResume;
  if (decision.state == RunState::kNew && !contents.empty)
    decision.notes.push_back(fmt::format(
        "run folder {}: its run ended before it saved a checkpoint; starting from step 1",
        folder_name(contents)));
}

}  // namespace

ResumeRequest ResumeRequest::parse(const std::string& text) {
  if (text == "auto" || text.empty()) return {};
  if (text == "never") return {.kind = Kind::kNever, .checkpoint = {}};
  return {.kind = Kind::kCheckpoint, .checkpoint = text};
}

RunDecision decide(const RunContents& contents, const ResumeRequest& request,
                   const std::string& resolved) {
  if (!contents.empty && request.kind == ResumeRequest::Kind::kNever)
    fail(
        "run folder {}: is not empty, and --resume never does not overwrite; name another with "
        "--run-dir, or remove it",
        folder_name(contents));
  if (!contents.empty && !contents.resolved && contents.checkpoints.empty())
    fail("run folder {}: is not empty and not a run of trireme; name another with --run-dir",
         folder_name(contents));
  if (request.kind == ResumeRequest::Kind::kCheckpoint) check_named(contents, request);

  RunDecision decision;
  if (contents.resolved)
    decision.changes = compare_jobs(*contents.resolved, resolved,
                                    (contents.path / contents.resolved_name).string());
  check_same_job(contents, decision.changes);
  decision.keep_job = !contents.resolved || !decision.changes.empty();
  choose_state(decision, contents, request);
  if (decision.state != RunState::kFinished) note_changes(decision, contents);
  return decision;
}

}  // namespace trireme::launcher
