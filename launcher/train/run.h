// One training run of one rank, from the job file to the exit code: what is made, in the order of
// the start-up, and how it ends.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "comm/world.h"
#include "launcher/checkpoint/saver.h"
#include "launcher/data/open.h"
#include "launcher/extensions.h"
#include "launcher/job/load.h"
#include "launcher/train/distributed_session.h"
#include "launcher/train/progress.h"
#include "launcher/train/resume.h"
#include "launcher/train/run_folder.h"
#include "launcher/train/train.h"
#include "launcher/train/trainer.h"
#include "launcher/train/watch.h"

namespace trireme::launcher {

class Run {
 public:
  Run(const TrainArguments& arguments, const Extensions& extensions, comm::World& world);
  ~Run();

  // Throws AgreedFailure or PeerFailed where all ranks know. In a world of several ranks every
  // other failure is told to the control plane, which ends the process.
  ExitCode execute();

 private:
  bool leads() const { return world_.rank() == 0; }
  core::Session& session() { return distributed_->session(); }

  void load_job_file();
  ExitCode train_and_save();
  void load_data();
  void check_device();
  bool open_folder();
  void make_session();
  std::string memory_of_stages();
  void start_or_resume();
  void load_initial();
  void open_reports();
  void announce();
  void make_saver();
  ManifestInfo manifest_info() const;
  TrainingEnd train();
  void report_memory();
  ExitCode conclude(TrainingEnd end);
  void note(const std::string& text);

  const TrainArguments& arguments_;
  const Extensions& extensions_;
  comm::World& world_;
  comm::Communicator& group_;
  LoadedJob job_;
  DataSets data_;
  std::optional<RunShape> run_;
  std::optional<RunFolder> folder_;
  std::optional<Watch> watch_;
  std::vector<std::string> early_notes_;  // until there is a log
  std::optional<Resume> resume_;
  Counters counters_;
  int64_t memory_before_ = 0;  // bytes of the process before the arenas
  std::optional<DistributedSession> distributed_;
  std::string memory_note_;  // of rank 0
  std::optional<MetricsLog> metrics_;
  std::optional<Progress> progress_;
  std::optional<Saver> saver_;
  std::optional<Trainer> trainer_;
};

}  // namespace trireme::launcher
