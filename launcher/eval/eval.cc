#include "launcher/eval/eval.h"

#include <optional>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/eval/weights.h"
#include "launcher/job/load.h"
#include "launcher/train/distributed_session.h"
#include "launcher/train/evaluator.h"
#include "launcher/train/watch.h"

namespace trireme::launcher {

ExitCode evaluate(const EvalArguments& arguments, const Extensions& extensions,
                  comm::World& world) {
  LoadedJob job;
  DataSets data;
  std::optional<RunShape> run;
  std::optional<Weights> weights;
  agree(world.communicator(), [&] {
    job = load_job(arguments.job.job, arguments.job.sets);
    weights.emplace(arguments.weights);
    data = open_data(job.options.data, job.options.train.seed, extensions.datasets);
    if (!data.eval)
      fail("{}: has no evaluation data: add data.eval or data.validation_fraction",
           job.options.places.of("data"));
    run = shape_run(job.options, shapes_of(data), world.size());
  });
  Watch watch(world, job.options.deadlines, {});
  // Outside of what is guarded: when this rank fails, the comm thread may still be at work on the
  // session's memory, which must last until guard() has ended the process.
  std::optional<DistributedSession> distributed;
  return watch.guard([&] {
    distributed.emplace(world, arguments.device, arguments.share_gpu, job.options, shapes_of(data),
                        *run, extensions.models);
    core::Session& session = distributed->session();
    agree(world.communicator(), [&] { weights->load(session); });
    Evaluator evaluator(session, distributed->device(), data, *run,
                        run->mesh.coordinate(world.rank(), parallel::Axis::kData));
    const AttachedSession attached(watch.status(), session);
    const InPhase phase(watch.status(), comm::Phase::kEval);
    const EvalRecord record = evaluator.run(&watch.status());
    if (world.rank() == 0)
      fmt::print("{}: {} samples, {}\n", weights->name(), data.eval->size(), record.text());
    return ExitCode::kDone;
  });
}

}  // namespace trireme::launcher
