#include "parallel/plan_training.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/recompute.h"
#include "core/program/build.h"
#include "parallel/data_sharding.h"
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
          .what = "the gradients' norm"};
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

void recompute_blocks(Graph& graph) {
  const std::vector<std::string> blocks = core::blocks_of(graph);
  core::recompute(graph, {blocks.begin(), blocks.end()});
}

// A rank's part of a graph.
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
    // Rewrites of the forward graphs, of `train` and of `eval`, go here.
    cut(train, eval);
    core::differentiate(train, {.global_batch = options_.batch.global_batch,
                                .frozen = core::frozen_parameters(train, options_.groups)});
    ties_ = find_ties(train, place_);
    core::SessionPlan plan;
    plan.whole = core::whole_parameters(core::make_flat_layout(train, options_.bucket_bytes, 1));
    Part part = train_part(std::move(train));
    plan.layout =
        core::make_flat_layout(part.graph, options_.bucket_bytes, data_ranks(), ties_.parameters);
    DataSharding sharding(options_.zero, data_ranks(), mesh_.coordinate(options_.rank, Axis::kData),
                          plan.layout);
    plan_update(part.graph, sharding, plan);
    plan.train = build_train(std::move(part), sharding, plan.layout);
    if (eval) plan.eval = build_eval(std::move(*eval), sharding, plan.layout);
    return plan;
  }

 private:
  int data_ranks() const { return mesh_.size(Axis::kData); }

  void cut(Graph& train, std::optional<Graph>& eval) const {
    if (options_.recompute && core::blocks_of(train).empty())
      fail("train.recompute: this network has no blocks to compute again; leave it NONE");
    if (place_.stages == 1) return;
    set_chunks(train, partition(train, partition_options(mesh_, options_)));
    if (eval) copy_chunks(train, *eval);
  }

  Part train_part(Graph whole) const {
    StageGraph stage = stage_of(std::move(whole));
    if (options_.recompute) recompute_blocks(stage.graph);
    StageWork work = place_.stages == 1 ? one_stage(stage.graph, options_.batch.micro_batches)
                                        : plan_stage(stage, place_, options_.pipeline.schedule,
                                                     options_.batch.micro_batches);
    return {std::move(stage.graph), std::move(work)};
  }

  Part eval_part(Graph whole) const {
    StageGraph stage = stage_of(std::move(whole));
    StageWork work = place_.stages == 1
                         ? one_stage(stage.graph, options_.eval_micro_batches)
                         : plan_forward_stage(stage, place_, options_.eval_micro_batches);
    return {std::move(stage.graph), std::move(work)};
  }

  StageGraph stage_of(Graph whole) const {
    if (place_.stages > 1) return extract_stage(whole, place_);
    return {.graph = std::move(whole), .crossings = {}};
  }

  static StageWork one_stage(const Graph& graph, int micro_batches) {
    StageWork work{.segments = core::whole_graph(graph), .turns = {}};
    work.turns = core::one_after_another(static_cast<int>(work.segments.size()), micro_batches);
    return work;
  }

  // Whether the norm is a sum over ranks: of other parameters, or other parts of them.
  bool splits_norm(const DataSharding& sharding) const {
    return place_.stages > 1 || sharding.splits_norm();
  }

  // What this rank adds to the norm, so that every parameter counts once: a tied one where it is
  // held first; what all data ranks hold, on the first of them.
  std::vector<core::ElementRange> norm_ranges(const DataSharding& sharding,
                                              const core::FlatLayout& layout) const {
    if (!sharding.splits_norm() && mesh_.coordinate(options_.rank, Axis::kData) != 0) return {};
    core::ElementRange all{0, layout.trained_elements};
    for (const core::FlatParameter& parameter : layout.parameters)
      if (ties_.is_tied(parameter.name) && ties_.stages.front() != place_.stage)
        all.end = std::min(all.end, parameter.offset);
    return sharding.norm_ranges({all});
  }

  // What the update needs besides gradients, in a plan whose layout stands.
  void plan_update(const Graph& graph, const DataSharding& sharding,
                   core::SessionPlan& plan) const {
    plan.sharding = sharding.state();
    plan.optimizer = options_.optimizer;
    plan.ranges = sharding.update_ranges(
        core::update_ranges(plan.layout, options_.optimizer, options_.groups));
    if (splits_norm(sharding)) plan.norm_ranges = norm_ranges(sharding, plan.layout);
    plan.control = control_options(graph, options_);
    plan.seed = options_.seed;
    plan.global_batch = options_.batch.global_batch;
    plan.sample_offset = options_.batch.offset(mesh_.coordinate(options_.rank, Axis::kData));
  }

  core::Program build_train(Part part, DataSharding& sharding,
                            const core::FlatLayout& layout) const {
    core::BuildOptions build = train_options(options_);
    build.segments = std::move(part.work.segments);
    build.turns = std::move(part.work.turns);
    sharding.add_to_training(part.graph, build);
    add_tie_reductions(ties_, layout, sharding, build);
    sharding.add_parameters(part.graph, build);
    if (mesh_.world() > 1) build.after_backward = {control_reduction(part.graph)};
    if (splits_norm(sharding)) build.norm_reduction = norm_reduction();
    return core::build_program(std::move(part.graph), layout, build);
  }

  core::Program build_eval(Graph eval, const DataSharding& sharding,
                           const core::FlatLayout& layout) const {
    core::BuildOptions build = eval_options(options_);
    Part part = eval_part(std::move(eval));
    build.segments = std::move(part.work.segments);
    build.turns = std::move(part.work.turns);
    sharding.add_parameters(part.graph, build);
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
