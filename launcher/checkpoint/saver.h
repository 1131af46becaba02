// Saves checkpoints of a run: every rank its shard, rank 0 the manifest, while training goes on.
//
//   begin      between two steps: rank 0 makes the folder; each rank copies its share of the state,
//              beside which already
//   writing    a thread a rank checks, hashes, writes and flushes its shard
//   committing if all succeeded, the shards' checksums go to rank 0, whose thread writes the
//              manifest and renames the folder: from then on the checkpoint stands
//   verifying  a thread a rank reads its shard back from the disk
//   pruning    if all read what they wrote, rank 0's thread removes older checkpoints. If not, the
//              new one is set aside, and the older ones stay
//
// A rank whose thread is through votes for it with every step. Every change of phase happens on
// sums that all ranks see after the same step, so that the ranks agree on what is saved without
// waiting for each other. One save is under way at a time: the next begin() waits for it.
//
// A save that fails (a full disk) leaves the checkpoints that are there and is reported;
// max_failures of them in a row end the run.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/runtime/device.h"
#include "core/runtime/session.h"
#include "launcher/checkpoint/manifest.h"
#include "launcher/checkpoint/snapshot.h"
#include "launcher/checkpoint/store.h"

namespace trireme::launcher {

struct SaveReport {
  int64_t step = 0;
  int64_t bytes = 0;     // of all shards
  double stall_ms = 0;   // that training waited
  double write_ms = 0;   // until rank 0's shard was on the disk
  double save_ms = 0;    // from the begin to the commit
  double verify_ms = 0;  // after it, to read rank 0's shard back
  std::string failure;   // empty: it is committed, and was read back
  std::string warning;   // old checkpoints that could not be removed
  bool committed() const { return failure.empty(); }
};

struct SaverOptions {
  bool wait = false;  // until each save is committed and verified, before training goes on
  RetentionOptions retention;
  int64_t max_failures = 3;
  // Whether this process still owns the run; asked before a commit and before anything
  // is removed. Rank 0.
  std::function<bool()> owns_run;
  // Rank 0, on the training thread.
  std::function<void(const SaveReport&)> report;
};

class Saver {
 public:
  // Collective. All references outlive the saver. `judged`: what retention's keep_best goes by, the
  // smaller the better, of the checkpoints that are there.
  Saver(comm::Communicator& group, core::Session& session, core::Device& device,
        CheckpointStore store, ManifestInfo info, SaverOptions options,
        std::map<int64_t, double> judged);
  ~Saver();  // waits for the threads; a save that is not committed is abandoned

  // Saves the state as it is between two steps. Collective. Throws AgreedFailure or PeerFailed
  // after max_failures in a row.
  void begin(const Counters& counters);
  // What this rank votes with the next step.
  core::Votes votes() const;
  // After each step, with the sums of the votes. Collective.
  void advance(const core::Votes& sums);
  // Waits until nothing is under way. Collective. Returns whether the last save was committed.
  bool finish();

  // The step of the newest checkpoint that this object committed, -1 if none.
  int64_t last_committed() const { return last_committed_; }

 private:
  enum class Phase { kIdle, kWriting, kCommitting, kVerifying, kPruning };

  bool leads() const { return group_.rank() == 0; }
  bool all_work() const { return phase_ == Phase::kWriting || phase_ == Phase::kVerifying; }
  bool open_folder();
  void enter(Phase phase, bool takes_part, void (Saver::*work)());
  void next();
  void gather();
  // On the saver's thread:
  void write();
  void commit();
  void verify();
  void prune();

  void check_ownership() const;
  std::string set_aside() const;
  void end(const std::string& failure);
  std::vector<int64_t> best_first() const;

  comm::Communicator& group_;
  CheckpointStore store_;
  SaverOptions options_;
  std::map<int64_t, double> judged_;

  Manifest manifest_;                   // of the save under way; the plan and info serve all
  std::unique_ptr<Snapshot> snapshot_;  // of this rank's shard, in its order
  ShardRecord written_;                 // what this rank has written
  std::filesystem::path temporary_;

  Phase phase_ = Phase::kIdle;
  std::future<void> work_;  // of this phase, if this rank takes part in it
  SaveReport report_;
  std::chrono::steady_clock::time_point began_{};
  int64_t failures_ = 0;
  int64_t last_committed_ = -1;
};

}  // namespace trireme::launcher
