#include "launcher/train/resume.h"

#include <sstream>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/checkpoint/state.h"
#include "launcher/train/step_counters.h"

namespace trireme::launcher {
namespace {

std::vector<CheckpointStore::Entry> share(comm::Communicator& group,
                                          const std::vector<CheckpointStore::Entry>& mine) {
  std::string lines;
  for (const CheckpointStore::Entry& entry : mine)
    lines += fmt::format("{} {}\n", entry.step, entry.path.string());
  std::istringstream text(broadcast_text(group, lines, 0));
  std::vector<CheckpointStore::Entry> all;
  for (CheckpointStore::Entry entry; text >> entry.step;) {
    std::string path;
    std::getline(text.ignore(1), path);
    entry.path = path;
    all.push_back(std::move(entry));
  }
  return all;
}

template <typename T>
void expect_same(const std::filesystem::path& folder, const char* what, const T& there,
                 const T& here) {
  if (there != here)
    fail(
        "{}: is of another run: its {} was {}, the job's is {}; undo the change, or train in "
        "another folder (--run-dir)",
        folder.string(), what, there, here);
}

void check_same_run(const CheckpointReader& checkpoint, const core::SessionPlan& plan,
                    const ManifestInfo& mine) {
  const ManifestInfo& there = checkpoint.manifest().info;
  check_same_tensors(checkpoint, state_tensors(plan));
  expect_same(checkpoint.folder(), "seed", there.seed, mine.seed);
  expect_same(checkpoint.folder(), "global batch", there.global_batch, mine.global_batch);
  expect_same(checkpoint.folder(), "training data", there.data_identity, mine.data_identity);
}

}  // namespace

Resume::Resume(comm::Communicator& group, CheckpointStore store,
               std::vector<CheckpointStore::Entry> candidates,
               std::function<void(const std::string&)> note)
    : group_(group),
      store_(std::move(store)),
      candidates_(share(group, candidates)),
      note_(std::move(note)) {}

void Resume::choose(const core::SessionPlan& plan, ManifestInfo mine) {
  mine_ = std::move(mine);
  if (from_checkpoint()) open_newest(plan);
}

void Resume::open_newest(const core::SessionPlan& plan) {
  for (;;) {
    const auto failure = try_together(
        group_, [&] { reader_ = std::make_unique<CheckpointReader>(candidates_.front().path); });
    if (!failure) break;
    skip(failure->message);
  }
  agree(group_, [&] { check_same_run(*reader_, plan, mine_); });
}

Counters Resume::load(core::Session& session) {
  for (;;) {
    const auto failure = try_together(group_, [&] { load_state(*reader_, session); });
    if (!failure) break;
    skip(failure->message);
    open_newest(session.plan());
  }
  const Counters& counters = manifest().counters;
  session.set_counters(step_counters(counters));
  return counters;
}

// The newest cannot be read: on to the one before, or nowhere.
void Resume::skip(const std::string& why) {
  reader_.reset();
  if (first_reason_.empty()) first_reason_ = why;
  const CheckpointStore::Entry bad = candidates_.front();
  candidates_.erase(candidates_.begin());
  if (candidates_.empty())
    agree(group_, [&] {
      throw InvalidArgument(
          fmt::format("{}; no checkpoint is left to go on from: `trireme checkpoint verify` tells "
                      "more; mend or remove it, or train in another folder (--run-dir)",
                      first_reason_),
          ExitCode::kBadCheckpoint);
    });
  agree(group_, [&] {
    if (group_.rank() != 0) return;
    note_(fmt::format("skipped: {}", why));
    // Out of the way of the steps that are to come again.
    if (bad.path.parent_path() == store_.folder()) {
      const std::filesystem::path now = store_.set_aside(bad.step);
      note_(fmt::format("{} is kept as {}", bad.path.string(), now.string()));
    }
  });
}

}  // namespace trireme::launcher
