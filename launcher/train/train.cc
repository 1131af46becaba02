#include "launcher/train/train.h"

#include <csignal>

#include "core/base/error.h"
#include "launcher/checkpoint/safetensors.h"
#include "launcher/job/load.h"
#include "launcher/train/agreement.h"
#include "launcher/train/distributed_session.h"
#include "launcher/train/run_folder.h"
#include "launcher/train/trainer.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> stop_requested = false;

void request_stop(int) { stop_requested.store(true); }

std::vector<NamedTensor> tensors(const core::Session& session, bool gradients) {
  std::vector<NamedTensor> all;
  for (const core::FlatParameter& parameter : session.plan().layout.parameters) {
    if (gradients && !parameter.trained) continue;
    all.push_back({.name = parameter.name,
                   .shape = parameter.shape,
                   .values = gradients ? session.gradient(parameter.name)
                                       : session.parameter(parameter.name)});
  }
  return all;
}

// One training run of one rank; members are made in the order of the start-up.
class Run {
 public:
  Run(const TrainArguments& arguments, const Extensions& extensions, comm::World& world)
      : arguments_(arguments),
        extensions_(extensions),
        world_(world),
        group_(world.communicator()) {}

  ExitCode execute() {
    agree(group_, [&] { load(); });
    agree(group_, [&] { open_folder(); });
    if (finished()) return ExitCode::kDone;
    distributed_.emplace(world_, arguments_.device, arguments_.share_gpu, job_.options,
                         shapes_of(data_), *run_, extensions_.models);
    session().initialize();
    agree(group_, [&] { open_reports(); });
    const int64_t steps = train();
    const bool finished = steps == run_->total_steps;
    const fs::path model = finished ? folder_->model() : folder_->stopped_model();
    agree(group_, [&] { save(model); });
    if (leads())
      progress_->note(finished ? fmt::format("done; parameters saved to {}", model.string())
                               : fmt::format("stopped by a signal after step {} of {}; parameters "
                                             "saved to {}",
                                             steps, run_->total_steps, model.string()));
    return finished ? ExitCode::kDone : ExitCode::kStopForGood;
  }

 private:
  bool leads() const { return world_.rank() == 0; }

  void load() {
    job_ = load_job(arguments_.job, arguments_.sets);
    data_ = open_data(job_.options.data, job_.options.train.seed, extensions_.datasets);
    run_ = shape_run(job_.options, shapes_of(data_), world_.size());
    folder_.emplace(arguments_.run_dir.empty() ? fs::path("runs") / job_.options.name
                                               : arguments_.run_dir);
  }

  void open_folder() {
    if (!leads()) return;
    const ResumeRequest request = ResumeRequest::parse(arguments_.never_resume ? "never" : "auto");
    state_ = folder_->open(job_.resolved, request).state;
    if (state_ == RunState::kResume)
      fail(
          "run folder {}: holds checkpoints, and this version cannot go on from them; name "
          "another with --run-dir",
          folder_->path().string());
  }

  bool finished() {
    int32_t finished = state_ == RunState::kFinished;
    group_.broadcast(std::span(&finished, 1), 0, {}, "state of the run folder");
    if (finished && leads())
      fmt::print("{}: this run is finished; nothing to do\n", folder_->path().string());
    return finished != 0;
  }

  core::Session& session() { return distributed_->session(); }

  void open_reports() {
    if (!leads()) return;
    metrics_.emplace(folder_->metrics(), 0);
    progress_.emplace(run_->total_steps, job_.options.logging.every_steps, stdout, folder_->log());
    announce();
  }

  void announce() {
    progress_->note(fmt::format(
        "{}: {} parameters, {} training and {} evaluation samples\n{} on {}; global batch {} = {} "
        "rank{} x {} micro-batch{} of {}; {} steps; arenas {:.1f} MiB; run folder {}",
        job_.options.name, session().plan().layout.parameter_count(), data_.train->size(),
        data_.eval ? data_.eval->size() : 0, run_->mesh.str(), distributed_->device().describe(),
        run_->batch.global_batch, world_.size(), world_.size() == 1 ? "" : "s",
        run_->batch.micro_batches, run_->batch.micro_batches == 1 ? "" : "es",
        run_->batch.micro_batch, run_->total_steps,
        static_cast<double>(session().arena_bytes()) / (1 << 20), folder_->path().string()));
  }

  int64_t train() {
    std::signal(SIGINT, request_stop);
    std::signal(SIGTERM, request_stop);
    Reports reports;
    if (leads()) reports = {&*metrics_, &*progress_};
    const int data_rank = run_->mesh.coordinate(world_.rank(), parallel::Axis::kData);
    trainer_ = std::make_unique<Trainer>(session(), distributed_->device(), data_, *run_, data_rank,
                                         job_.options.train.seed, reports);
    if (!arguments_.save_gradients.empty())
      trainer_->after_first_step([&] {
        if (leads()) write_safetensors(arguments_.save_gradients, tensors(session(), true), {});
      });
    const int64_t steps = trainer_->run(stop_requested);
    if (leads()) progress_->finish();
    return steps;
  }

  void save(const fs::path& path) {
    if (leads())
      write_safetensors(path, tensors(session(), false),
                        {{"format", "trireme"}, {"job", job_.options.name}});
  }

  const TrainArguments& arguments_;
  const Extensions& extensions_;
  comm::World& world_;
  comm::Communicator& group_;
  LoadedJob job_;
  DataSets data_;
  std::optional<RunShape> run_;
  std::optional<RunFolder> folder_;
  RunState state_ = RunState::kNew;
  std::optional<DistributedSession> distributed_;
  std::optional<MetricsLog> metrics_;
  std::optional<Progress> progress_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace

ExitCode train(const TrainArguments& arguments, const Extensions& extensions, comm::World& world) {
  return Run(arguments, extensions, world).execute();
}

}  // namespace trireme::launcher
