#include "parallel/plan_training.h"

#include "core/graph/differentiate.h"
#include "core/program/build.h"
#include "parallel/data_sharding.h"
#include "parallel/groups.h"

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

// What the update needs besides gradients, in a plan whose layout stands.
void plan_update(const Graph& graph, const DataSharding& sharding, const Mesh& mesh,
                 const TrainingOptions& options, core::SessionPlan& plan) {
  plan.sharding = sharding.state();
  plan.optimizer = options.optimizer;
  plan.ranges = sharding.update_ranges(
      core::update_ranges(plan.layout, options.optimizer, options.groups));
  if (sharding.splits_norm())
    plan.norm_ranges = sharding.norm_ranges({{0, plan.layout.trained_elements}});
  plan.control = control_options(graph, options);
  plan.seed = options.seed;
  plan.global_batch = options.batch.global_batch;
  plan.sample_offset = options.batch.offset(mesh.coordinate(options.rank, Axis::kData));
}

}  // namespace

core::SessionPlan plan_training(Graph train, std::optional<Graph> eval, const Mesh& mesh,
                                const TrainingOptions& options) {
  const int data_ranks = mesh.size(Axis::kData);
  // Rewrites of the forward graph, of `train` and of `eval`, go here.
  core::differentiate(train, {.global_batch = options.batch.global_batch,
                              .frozen = core::frozen_parameters(train, options.groups)});
  // Rewrites of the whole graph go here.
  core::SessionPlan plan;
  plan.layout = core::make_flat_layout(train, options.bucket_bytes, data_ranks);
  plan.whole = core::whole_parameters(plan.layout);
  DataSharding sharding(options.zero, data_ranks, mesh.coordinate(options.rank, Axis::kData),
                        plan.layout);
  core::BuildOptions build = train_options(options);
  build.segments = core::whole_graph(train);
  sharding.add_to_training(train, build);
  sharding.add_parameters(train, build);
  if (mesh.world() > 1) build.after_backward = {control_reduction(train)};
  if (sharding.splits_norm()) build.norm_reduction = norm_reduction();

  plan_update(train, sharding, mesh, options, plan);
  plan.train = core::build_program(std::move(train), plan.layout, build);
  if (eval) {
    build = eval_options(options);
    build.segments = core::whole_graph(*eval);
    sharding.add_parameters(*eval, build);
    if (mesh.world() > 1) build.after_backward = {control_reduction(*eval)};
    plan.eval = core::build_program(std::move(*eval), plan.layout, build);
  }
  return plan;
}

std::vector<core::CollectiveCall> collectives(const core::SessionPlan& plan) {
  std::vector<core::CollectiveCall> calls;
  const auto append = [&](const core::Program& program) {
    for (const core::PlannedCollective& planned : program.collectives)
      calls.push_back({.kind = planned.kind,
                       .op = planned.op,
                       .dtype = planned.dtype,
                       .group = planned.group,
                       .count = planned.count,
                       .what = planned.what.c_str()});
  };
  append(plan.train);
  if (plan.eval) append(*plan.eval);
  return calls;
}

}  // namespace trireme::parallel
