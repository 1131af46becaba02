// The checkpoint that a run goes on from: the newest that every rank can read.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/runtime/session.h"
#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/store.h"

namespace trireme::launcher {

class Resume {
 public:
  // `candidates`, newest first: rank 0's count. `note` is told, on rank 0, what is skipped and why.
  // With no candidate the run starts from its beginning.
  Resume(comm::Communicator& group, CheckpointStore store,
         std::vector<CheckpointStore::Entry> candidates,
         std::function<void(const std::string&)> note);

  bool from_checkpoint() const { return !candidates_.empty(); }

  // Chooses the newest candidate whose structure every rank finds sound, before memory is taken.
  // Collective. Throws AgreedFailure or PeerFailed: kBadCheckpoint if none is, kUsage if it is of
  // another job: other tensors, seed, data or global batch.
  void choose(const core::SessionPlan& plan, ManifestInfo mine);

  // Fills the session's state; where a block is corrupt, from the next older candidate. Collective.
  // Returns what the run counts on from. Throws as choose() does.
  Counters load(core::Session& session);

  // What was chosen.
  const Manifest& manifest() const { return reader_->manifest(); }
  const std::filesystem::path& folder() const { return reader_->folder(); }

 private:
  void open_newest(const core::SessionPlan& plan);
  void skip(const std::string& why);

  comm::Communicator& group_;
  CheckpointStore store_;
  std::vector<CheckpointStore::Entry> candidates_;  // the first is tried, or open
  std::function<void(const std::string&)> note_;
  ManifestInfo mine_;
  std::unique_ptr<CheckpointReader> reader_;
  std::string first_reason_;
};

}  // namespace trireme::launcher
