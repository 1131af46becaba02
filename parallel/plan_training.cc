#include "parallel/plan_training.h"

#include "core/graph/differentiate.h"
#include "core/program/build.h"
#include "parallel/data_parallel.h"
#include "parallel/groups.h"
#include "parallel/partition.h"
#include "parallel/pipeline.h"
#include "parallel/ties.h"

namespace trireme::parallel {
namespace {

using core::Graph;

core::PlannedCollective control_reduction(const Graph& graph) {
  return {.kind = core::CollectiveKind::kAllReduce,
          .op = core::ReduceOp::kSum,
          .dtype = core::DType::kF64,
          .group = kWorldGroup,
          .location = {core::Arena::kControl, 0},
          .count = core::control_elements(graph),
          .what = "the control vector"};
}

core::PlannedCollective norm_reduction() {
  return {.kind = core::CollectiveKind::kAllReduce,
          .op = core::ReduceOp::kSum,
          .dtype = core::DType::kF64,
          .group = kWorldGroup,
          .location = {core::Arena::kNorm, 0},
          .count = 1,
          .what = "the gradient norm"};
}

core::ControlOptions control_options(const Graph& graph, const TrainingOptions& options) {
  core::ControlOptions control{.schedule = options.schedule, .clip_norm = options.clip_norm};
  control.loss_count = static_cast<int>(graph.losses().size());
  control.nominal_count = static_cast<double>(graph.losses().front().nominal_per_sample) *
                          static_cast<double>(options.batch.global_batch);
  if (const auto* adam = std::get_if<core::AdamOptions>(&options.optimizer)) {
    control.beta1 = adam->beta1;
    control.beta2 = adam->beta2;
  }
  return control;
}

core::BuildOptions train_options(const TrainingOptions& options) {
  return {.name = "train",
          .device = options.device,
          .micro_batch = options.batch.micro_batch,
          .micro_batches = options.batch.micro_batches,
          .update = true};
}

core::BuildOptions eval_options(const TrainingOptions& options) {
  return {.name = "eval",
          .device = options.device,
          .micro_batch = options.eval_micro_batch,
          .micro_batches = options.eval_micro_batches};
}

// What the update needs besides gradients.
core::SessionPlan plan_update(const Graph& graph, core::FlatLayout layout, const Mesh& mesh,
                              const TrainingOptions& options) {
  core::SessionPlan plan;
  plan.layout = std::move(layout);
  plan.optimizer = options.optimizer;
  plan.ranges = core::update_ranges(plan.layout, options.optimizer, options.groups);
  plan.control = control_options(graph, options);
  plan.seed = options.seed;
  plan.global_batch = options.batch.global_batch;
  plan.sample_offset = options.batch.offset(mesh.coordinate(options.rank, Axis::kData));
  return plan;
}

// The ranges of the flat buffer that this rank counts in the global norm, so that every parameter
// counts once: those of the first data rank, tied ones where they are held first.
std::vector<core::ElementRange> norm_ranges(const core::FlatLayout& layout, const Ties& ties,
                                            const Mesh& mesh, int rank) {
  std::vector<core::ElementRange> ranges;
  if (mesh.coordinate(rank, Axis::kData) != 0) return ranges;
  const int stage = mesh.coordinate(rank, Axis::kPipeline);
  for (const core::FlatParameter& parameter : layout.parameters)
    if (parameter.trained && (!ties.is_tied(parameter.name) || ties.stages.front() == stage))
      ranges.push_back({parameter.offset, parameter.offset + parameter.elements});
  return ranges;
}

// A rank's part of a graph. With one stage: all of it, and the build's defaults.
struct Part {
  Graph graph;
  StageWork work;
};

// From forward graphs to the programs of one rank.
class Composer {
 public:
  Composer(const Mesh& mesh, const TrainingOptions& options)
      : mesh_(mesh),
        options_(options),
        place_{.stages = mesh.size(Axis::kPipeline),
               .chunks = mesh.size(Axis::kPipeline) > 1 ? options.pipeline.virtual_stages : 1,
               .stage = mesh.coordinate(options.rank, Axis::kPipeline)} {}

  core::SessionPlan run(Graph train, std::optional<Graph> eval) {
    // Rewrites of the forward graphs go here.
    cut(train, eval);
    core::differentiate(train, {.global_batch = options_.batch.global_batch,
                                .frozen = core::frozen_parameters(train, options_.groups)});
    // Rewrites of the whole graph go here.
    ties_ = find_ties(train, place_);
    Part part = part_of(std::move(train), [&](const StageGraph& stage) {
      return plan_stage(stage, place_, options_.pipeline.schedule, options_.batch.micro_batches);
    });
    core::SessionPlan plan =
        plan_update(part.graph,
                    core::make_flat_layout(part.graph, options_.bucket_bytes,
                                           mesh_.size(Axis::kData), ties_.parameters),
                    mesh_, options_);
    if (split_parameters())
      plan.norm_ranges = norm_ranges(plan.layout, ties_, mesh_, options_.rank);
    plan.train = build_train(std::move(part), plan.layout);
    if (eval) plan.eval = build_eval(std::move(*eval), plan.layout);
    return plan;
  }

 private:
  // Whether ranks hold different parameters, and so have different parts of the norm.
  bool split_parameters() const { return mesh_.world() > mesh_.size(Axis::kData); }

  void cut(Graph& train, std::optional<Graph>& eval) const {
    if (place_.stages == 1) return;
    set_chunks(train, partition(train, partition_options(mesh_, options_)));
    if (eval) copy_chunks(train, *eval);
  }

  template <typename PlanWork>
  Part part_of(Graph whole, const PlanWork& plan_work) const {
    if (place_.stages == 1) return {.graph = std::move(whole), .work = {}};
    StageGraph stage = extract_stage(whole, place_);
    StageWork work = plan_work(stage);
    return {.graph = std::move(stage.graph), .work = std::move(work)};
  }

  core::Program build_train(Part part, const core::FlatLayout& layout) const {
    core::BuildOptions build = train_options(options_);
    build.segments = std::move(part.work.segments);
    build.turns = std::move(part.work.turns);
    build.reductions = tie_reductions(part.graph, layout, ties_);
    if (mesh_.size(Axis::kData) > 1)
      for (core::CollectiveAfter& bucket : bucket_reductions(part.graph, layout, ties_))
        build.reductions.push_back(std::move(bucket));
    if (mesh_.world() > 1) build.after_backward = {control_reduction(part.graph)};
    if (split_parameters()) build.norm_reduction = norm_reduction();
    return core::build_program(std::move(part.graph), layout, build);
  }

  core::Program build_eval(Graph eval, const core::FlatLayout& layout) const {
    core::BuildOptions build = eval_options(options_);
    Part part = part_of(std::move(eval), [&](const StageGraph& stage) {
      return plan_forward_stage(stage, place_, options_.eval_micro_batches);
    });
    build.segments = std::move(part.work.segments);
    build.turns = std::move(part.work.turns);
    if (mesh_.world() > 1) build.after_backward = {control_reduction(part.graph)};
    return core::build_program(std::move(part.graph), layout, build);
  }

  const Mesh& mesh_;
  const TrainingOptions& options_;
  StagePlace place_;
  Ties ties_;
};

}  // namespace

PartitionOptions partition_options(const Mesh& mesh, const TrainingOptions& options) {
  PartitionOptions partition{.stages = mesh.size(Axis::kPipeline),
                             .virtual_stages = options.pipeline.virtual_stages,
                             .ends = options.pipeline.ends,
                             .moments = core::moment_count(options.optimizer),
                             .memory_limit = options.pipeline.memory_limit};
  const PipelineShape shape{partition.stages, options.batch.micro_batches,
                            partition.virtual_stages};
  partition.stashes.resize(partition.chunks());
  for (int stage = 0; stage < partition.stages; ++stage) {
    const auto steps = make_schedule(options.pipeline.schedule, shape, stage);
    for (int chunk = 0; chunk < partition.virtual_stages; ++chunk)
      partition.stashes[chunk * partition.stages + stage] = slot_count(steps, chunk);
  }
  return partition;
}

core::SessionPlan plan_training(Graph train, std::optional<Graph> eval, const Mesh& mesh,
                                const TrainingOptions& options) {
  return Composer(mesh, options).run(std::move(train), std::move(eval));
}

}  // namespace trireme::parallel
