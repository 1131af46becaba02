#include "launcher/eval/eval.h"

#include <optional>

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

[[noreturn]] void refuse(const std::string& message) {
  throw InvalidArgument(message, ExitCode::kBadCheckpoint);
}

void load_parameters(core::Session& session, const SafetensorsFile& file) {
  const auto& parameters = session.plan().layout.parameters;
  for (const core::FlatParameter& parameter : parameters) {
    const NamedTensor& tensor = file.find(parameter.name);
    if (tensor.shape != parameter.shape)
      refuse(fmt::format("{}: tensor '{}' has shape {}, the job's model expects {}", file.path,
                         parameter.name, tensor.shape.str(), parameter.shape.str()));
    session.set_parameter(parameter.name, tensor.values);
  }
  if (file.tensors.size() != parameters.size())
    refuse(fmt::format("{}: holds {} tensors, the job's model has {} parameters", file.path,
                       file.tensors.size(), parameters.size()));
}

}  // namespace

ExitCode evaluate(const EvalArguments& arguments, const Extensions& extensions,
                  comm::World& world) {
  LoadedJob job;
  DataSets data;
  std::optional<RunShape> run;
  SafetensorsFile parameters;
  agree(world.communicator(), [&] {
    job = load_job(arguments.job.job, arguments.job.sets);
    const bool folder = fs::is_directory(arguments.checkpoint);
    parameters =
        read_safetensors(folder ? RunFolder(arguments.checkpoint).model() : arguments.checkpoint);
    data = open_data(job.options.data, job.options.train.seed, extensions.datasets);
    if (!data.eval)
      fail("{}: has no evaluation data: add data.eval or data.validation_fraction",
           job.options.places.of("data"));
    run = shape_run(job.options, shapes_of(data), world.size());
  });
  DistributedSession distributed(world, arguments.device, arguments.share_gpu, job.options,
                                 shapes_of(data), *run, extensions.models);
  agree(world.communicator(), [&] { load_parameters(distributed.session(), parameters); });
  Evaluator evaluator(distributed.session(), distributed.device(), data, *run,
                      run->mesh.coordinate(world.rank(), parallel::Axis::kData));
  const EvalRecord record = evaluator.run();
  if (world.rank() == 0)
    fmt::print("{}: {} samples, {}\n", arguments.checkpoint.string(), data.eval->size(),
               record.text());
  return ExitCode::kDone;
}

}  // namespace trireme::launcher
