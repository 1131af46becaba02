#include "launcher/train/run.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/build_info.h"
#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/listing.h"
#include "launcher/checkpoint/safetensors.h"
#include "launcher/eval/weights.h"
#include "launcher/train/precision.h"
#include "launcher/train/process_memory.h"
#include "launcher/train/remarks.h"
#include "launcher/train/signals.h"
#include "launcher/train/whole_tensors.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

// What the kept checkpoints were judged, the smaller the better.
std::map<int64_t, double> judged_checkpoints(const CheckpointStore& store) {
  std::map<int64_t, double> judged;
  if (!fs::exists(store.folder())) return judged;
  for (const ListedCheckpoint& listed : list_checkpoints(store.folder())) {
    const Counters& counters = listed.manifest.counters;
    if (listed.committed && listed.problem.empty() && !std::isnan(counters.judged))
      judged[counters.attempted_steps] = counters.judged;
  }
  return judged;
}

// A dataset's identity as a manifest can hold it: an outside program's may be of any length.
std::string identity_text(const std::string& identity) {
  const bool plain = std::ranges::all_of(identity, [](char c) { return c >= ' ' && c <= '~'; });
  if (plain && std::ssize(identity) <= kMaxTextBytes) return identity;
  const XXH128_hash_t hash = XXH3_128bits(identity.data(), identity.size());
  return fmt::format("XXH3-128 {:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

Run::Run(const TrainArguments& arguments, const Extensions& extensions, comm::World& world)
    : arguments_(arguments), extensions_(extensions), world_(world), group_(world.communicator()) {}

// The session dies before the watch over it.
Run::~Run() {
  if (watch_) watch_->status().detach();
}

ExitCode Run::execute() {
  umask(077);  // what a run leaves is its owner's
  agree(group_, [&] { load_job_file(); });
  watch_.emplace(world_, job_.options.deadlines, folder_->flight());
  if (world_.size() > 1) expect_peers(leads());
  return watch_->guard([this] { return train_and_save(); });
}

void Run::load_job_file() {
  job_ = load_job(arguments_.job, arguments_.sets);
  folder_.emplace(fs::absolute(arguments_.run_dir.empty() ? fs::path("runs") / job_.options.name
                                                          : arguments_.run_dir));
}

// Before the run leaves anything behind.
void Run::check_device() {
  if (job_.options.train.precision == Precision::kFp32) return;
  const bool cuda = choose_device(arguments_.device, world_) == DeviceRequest::kCuda;
  agree(group_, [&] {
    check_precision(job_.options, cuda ? core::DeviceKind::kCuda : core::DeviceKind::kCpu);
  });
}

void Run::load_data() {
  data_ = open_data(job_.options.data, job_.options.train.seed, extensions_.datasets);
  run_ = shape_run(job_.options, shapes_of(data_), world_.size());
  // Whatever is wrong with the layout is told before there is a run folder: another job could not
  // have it.
  plan_session(job_.options, shapes_of(data_), *run_, world_.rank(), core::DeviceKind::kCpu,
               extensions_.models);
}

ExitCode Run::train_and_save() {
  check_device();
  agree(group_, [&] { load_data(); });
  if (!open_folder()) return ExitCode::kDone;
  make_session();
  start_or_resume();
  agree(group_, [&] { open_reports(); });
  make_saver();
  const TrainingEnd end = train();
  watch_->status().enter(comm::Phase::kEnd);
  return conclude(end);
}

// False, everywhere, if the run is finished.
bool Run::open_folder() {
  OpenedRun opened;
  agree(group_, [&] {
    if (!leads()) return;
    opened = folder_->open(job_.resolved, ResumeRequest::parse(arguments_.resume),
                           {.say = [this](const std::string& text) { note(text); }});
    for (const std::string& text : opened.notes) note(text);
  });
  int32_t finished = opened.state == RunState::kFinished;
  group_.broadcast(std::span(&finished, 1), 0, {}, "state of the run folder");
  if (finished && leads())
    fmt::print("{}: this run is finished; nothing to do\n", folder_->path().string());
  resume_.emplace(group_, folder_->checkpoints(), std::move(opened.candidates),
                  [this](const std::string& text) { note(text); });
  return finished == 0;
}

void Run::make_session() {
  distributed_.emplace(world_, arguments_.device, arguments_.share_gpu, job_.options,
                       shapes_of(data_), *run_, extensions_.models,
                       [&](const core::SessionPlan& plan) {
                         resume_->choose(plan, manifest_info());
                         memory_before_ = process_memory().resident;
                       });
  watch_->status().attach(session());
  memory_note_ = memory_of_stages();
}

// What is computed again and how much memory that takes, a line a stage; empty where nothing is and
// there is no limit. Collective.
std::string Run::memory_of_stages() {
  const core::DeviceKind device = distributed_->device().kind();
  const MemoryUse mine = memory_use(session().plan(), device);
  const std::array<int64_t, 3> sent{mine.blocks, mine.recomputed_blocks, mine.arena_bytes};
  std::vector<int64_t> all(sent.size() * world_.size());
  group_.all_gather(std::span<const int64_t>(sent), std::span(all), {}, "memory of the ranks");
  std::vector<std::string> lines;
  for (int rank = 0; rank < world_.size(); ++rank) {
    if (run_->mesh.first_of_stage(rank) != rank) continue;
    const int64_t* of = &all[rank * sent.size()];
    const std::string words = in_words({static_cast<int>(of[0]), static_cast<int>(of[1]), of[2]},
                                       job_.options, distributed_->limit().arenas);
    if (words.empty()) return "";
    const int stage = run_->mesh.coordinate(rank, parallel::Axis::kPipeline);
    const bool several = run_->mesh.size(parallel::Axis::kPipeline) > 1;
    lines.push_back(several ? fmt::format("stage {} {}", stage, words) : words);
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

void Run::start_or_resume() {
  if (!resume_->from_checkpoint()) {
    session().initialize();
    return load_initial();
  }
  counters_ = resume_->load(session());
  if (leads())
    note(fmt::format("going on after step {}, from {}", counters_.attempted_steps,
                     resume_->folder().string()));
}

// The first parameters of a job that names them.
void Run::load_initial() {
  const std::string& path = job_.options.train.initial;
  if (path.empty()) return;
  agree(group_, [&] { Weights({path}).load(session()); });
  if (leads()) note(fmt::format("parameters from {}", path));
}

ManifestInfo Run::manifest_info() const {
  const parallel::Mesh& mesh = run_->mesh;
  return {.layout = {.data = mesh.size(parallel::Axis::kData),
                     .tensor = mesh.size(parallel::Axis::kTensor),
                     .pipeline = mesh.size(parallel::Axis::kPipeline),
                     .zero = static_cast<int32_t>(job_.options.parallel.zero)},
          .seed = job_.options.train.seed,
          .data_identity = identity_text(data_.train->identity()),
          .global_batch = run_->batch.global_batch,
          .trireme_version = build_info::kVersion,
          .job_name = job_.options.name};
}

void Run::open_reports() {
  if (!leads()) return;
  metrics_.emplace(folder_->metrics(), counters_.attempted_steps);
  progress_.emplace(run_->total_steps, job_.options.logging.every_steps, stdout, folder_->log(),
                    counters_.attempted_steps);
  announce();
  for (const std::string& text : early_notes_) progress_->note(text);
}

void Run::note(const std::string& text) {
  if (progress_)
    progress_->note(text);
  else
    early_notes_.push_back(text);
}

void Run::announce() {
  const int data_ranks = run_->mesh.size(parallel::Axis::kData);
  progress_->note(fmt::format(
      "{}: {} parameters, {} training and {} evaluation samples\n{} on {}; global batch {} = {} "
      "rank{} x {} micro-batch{} of {}; {} steps; arenas {:.1f} MiB; run folder {}",
      job_.options.name, parameter_count(session().plan()), data_.train->size(),
      data_.eval ? data_.eval->size() : 0, run_->mesh.str(), distributed_->device().describe(),
      run_->batch.global_batch, data_ranks, data_ranks == 1 ? "" : "s", run_->batch.micro_batches,
      run_->batch.micro_batches == 1 ? "" : "es", run_->batch.micro_batch, run_->total_steps,
      static_cast<double>(session().arena_bytes()) / (1 << 20), folder_->path().string()));
  const std::string stages = explain_stages(job_.options, shapes_of(data_), *run_,
                                            extensions_.models, distributed_->limit());
  for (const std::string& remark : remarks_on(job_.options, *run_)) progress_->note(remark);
  if (!memory_note_.empty()) progress_->note(memory_note_);
  if (!stages.empty()) progress_->note(stages.substr(0, stages.size() - 1));
}

void Run::make_saver() {
  const CheckpointOptions& options = job_.options.checkpoint;
  const auto tell = [this](const SaveReport& save) {
    if (save.committed())
      metrics_->write(CheckpointRecord{.step = save.step,
                                       .bytes = save.bytes,
                                       .stall_ms = save.stall_ms,
                                       .write_ms = save.write_ms,
                                       .verify_ms = save.verify_ms,
                                       .save_ms = save.save_ms});
    else
      note(fmt::format("step {}: the checkpoint could not be saved, those before stand: {}",
                       save.step, save.failure));
    if (!save.warning.empty()) note(save.warning);
  };
  agree(group_, [&] {
    saver_.emplace(group_, session(), distributed_->device(), folder_->checkpoints(),
                   manifest_info(),
                   SaverOptions{.wait = options.mode == SaveMode::kSync,
                                .retention = {.keep_last = options.keep_last,
                                              .keep_every = options.keep_every,
                                              .keep_best = options.keep_best},
                                .max_failures = options.max_failures,
                                .owns_run = [this] { return folder_->still_mine(); },
                                .report = tell},
                   leads() && options.keep_best > 0 ? judged_checkpoints(folder_->checkpoints())
                                                    : std::map<int64_t, double>{});
  });
}

TrainingEnd Run::train() {
  Reports reports;
  if (leads()) reports = {&*metrics_, &*progress_};
  trainer_.emplace(
      TrainerParts{.group = group_,
                   .session = session(),
                   .device = distributed_->device(),
                   .data = data_,
                   .job = job_.options,
                   .run = *run_,
                   .data_rank = run_->mesh.coordinate(world_.rank(), parallel::Axis::kData),
                   .saver = *saver_,
                   .status = watch_->status(),
                   .plane = watch_->plane(),
                   .reports = reports},
      counters_);
  if (!arguments_.save_gradients.empty())
    trainer_->after_first_step([&] {
      write_whole_tensors(group_, session(), core::StateBuffer::kGradients,
                          arguments_.save_gradients, {});
    });
  const TrainingEnd end = trainer_->run();
  if (leads()) progress_->finish();
  return end;
}

// What the ranks' processes took beyond what they had before the arenas: what `plan` foretells.
void Run::report_memory() {
  const std::vector<int64_t> before = gather_value(group_, memory_before_);
  const std::vector<int64_t> peak = gather_value(group_, process_memory().peak);
  if (leads())
    metrics_->write(MemoryRecord{.step = trainer_->steps_done(), .before = before, .peak = peak});
}

ExitCode Run::conclude(TrainingEnd end) {
  if (end == TrainingEnd::kFinished || end == TrainingEnd::kEarly) {
    const fs::path model = folder_->model();
    const std::map<std::string, std::string> metadata{{"format", "trireme"},
                                                      {"job", job_.options.name}};
    if (job_.options.train.average)  // before the model, which says that the run is finished
      write_whole_average(group_, session(), folder_->average(), metadata);
    write_whole_tensors(group_, session(), core::StateBuffer::kParameters, model, metadata);
    report_memory();
    if (leads()) note(fmt::format("done; parameters saved to {}", model.string()));
    return ExitCode::kDone;
  }
  const bool requeue = end == TrainingEnd::kRequeue;
  if (leads())
    note(fmt::format(
        "stopped by a signal after step {} of {}; {}", trainer_->steps_done(), run_->total_steps,
        trainer_->saved() ? "the same command goes on from there"
                          : "this step could not be saved, earlier checkpoints stand"));
  if (requeue && !trainer_->saved()) return ExitCode::kInternal;
  return requeue ? ExitCode::kRequeue : ExitCode::kStopForGood;
}

}  // namespace trireme::launcher
