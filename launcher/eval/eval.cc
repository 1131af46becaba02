#include "launcher/eval/eval.h"

#include <optional>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/checkpoint/safetensors.h"
#include "launcher/checkpoint/state.h"
#include "launcher/job/load.h"
#include "launcher/train/distributed_session.h"
#include "launcher/train/evaluator.h"
#include "launcher/train/run_folder.h"
#include "launcher/train/watch.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& message) {
  throw InvalidArgument(message, ExitCode::kBadCheckpoint);
}

// What --checkpoint names: a safetensors file, a run folder (its model, or else its newest
// checkpoint), or a checkpoint's folder.
class Weights {
 public:
  explicit Weights(const fs::path& path) {
    fs::path file = path;
    if (fs::is_directory(path)) {
      file = RunFolder(path).model();
      const auto saved = RunFolder(path).checkpoints().list();
      if (const auto named = CheckpointStore::at(path))
        checkpoint_ = std::make_unique<CheckpointReader>(named->path);
      else if (!fs::exists(file) && !saved.empty())
        checkpoint_ = std::make_unique<CheckpointReader>(saved.front().path);
    }
    if (!checkpoint_) file_ = read_safetensors(file);
  }

  std::string name() const { return checkpoint_ ? checkpoint_->folder().string() : file_.path; }

  void load(core::Session& session) {
    if (checkpoint_)
      load_parameters(*checkpoint_, session);
    else
      load_file(session);
  }

 private:
  void load_file(core::Session& session) const {
    const auto& parameters = session.plan().layout.parameters;
    for (const core::FlatParameter& parameter : parameters) {
      const NamedTensor& tensor = file_.find(parameter.name);
      if (tensor.shape != parameter.shape)
        refuse(fmt::format("{}: tensor '{}' has shape {}, the job's model expects {}", file_.path,
                           parameter.name, tensor.shape.str(), parameter.shape.str()));
      session.set_parameter(parameter.name, tensor.values);
    }
    if (file_.tensors.size() != parameters.size())
      refuse(fmt::format("{}: holds {} tensors, the job's model has {} parameters", file_.path,
                         file_.tensors.size(), parameters.size()));
  }

  std::unique_ptr<CheckpointReader> checkpoint_;
  SafetensorsFile file_;
};

}  // namespace

ExitCode evaluate(const EvalArguments& arguments, const Extensions& extensions,
                  comm::World& world) {
  LoadedJob job;
  DataSets data;
  std::optional<RunShape> run;
  std::optional<Weights> weights;
  agree(world.communicator(), [&] {
    job = load_job(arguments.job.job, arguments.job.sets);
    weights.emplace(arguments.checkpoint);
    data = open_data(job.options.data, job.options.train.seed, extensions.datasets);
    if (!data.eval)
      fail("{}: has no evaluation data: add data.eval or data.validation_fraction",
           job.options.places.of("data"));
    run = shape_run(job.options, shapes_of(data), world.size());
  });
  Watch watch(world, job.options.deadlines, {});
  return watch.guard([&] {
    DistributedSession distributed(world, arguments.device, arguments.share_gpu, job.options,
                                   shapes_of(data), *run, extensions.models);
    agree(world.communicator(), [&] { weights->load(distributed.session()); });
    Evaluator evaluator(distributed.session(), distributed.device(), data, *run,
                        run->mesh.coordinate(world.rank(), parallel::Axis::kData));
    const AttachedSession attached(watch.status(), distributed.session());
    const InPhase phase(watch.status(), comm::Phase::kEval);
    const EvalRecord record = evaluator.run(&watch.status());
    if (world.rank() == 0)
      fmt::print("{}: {} samples, {}\n", weights->name(), data.eval->size(), record.text());
    return ExitCode::kDone;
  });
}

}  // namespace trireme::launcher
