#include "parallel/plan_training.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/recompute.h"
#include "core/program/build.h"
#include "parallel/data_sharding.h"
#include "parallel/groups.h"
#include "parallel/shard_tensor.h"
#include "parallel/tensor_gradients.h"

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

TensorOptions tensor_options(const Mesh& mesh, const TrainingOptions& options) {
  return {.place = {.size = mesh.size(Axis::kTensor),
                    .rank = mesh.coordinate(options.rank, Axis::kTensor),
                    .group = kTensorGroup},
          .sequence = options.sequence};
}

core::BuildOptions eval_options(const TrainingOptions& options) {
  return {.name = "eval",
          .device = options.device,
          .micro_batch = options.eval_micro_batch,
          .micro_batches = options.eval_micro_batches};
}

// Whether ranks have different parts of the global norm.
bool splits_norm(const DataSharding& sharding, const Mesh& mesh) {
  return sharding.splits_norm() || mesh.size(Axis::kTensor) > 1;
}

// So that every element counts once, on one rank.
std::vector<core::ElementRange> norm_ranges(const DataSharding& sharding, const Mesh& mesh,
                                            const TrainingOptions& options,
                                            const core::SessionPlan& plan) {
  const bool counts = sharding.splits_norm() || mesh.coordinate(options.rank, Axis::kData) == 0;
  if (!counts) return {};
  if (mesh.size(Axis::kTensor) == 1)
    return sharding.norm_ranges({{0, plan.layout.trained_elements}});
  return sharding.norm_ranges(
      counted_gradients(plan.layout, mesh.coordinate(options.rank, Axis::kTensor)));
}

// The parameters of the network before it is cut, in an order that all ranks have.
std::vector<core::WholeParameter> whole_parameters(Graph train,
                                                   const core::DifferentiateOptions& how,
                                                   const TrainingOptions& options) {
  core::differentiate(train, how);
  return core::whole_parameters(core::make_flat_layout(train, options.bucket_bytes, 1));
}

// What the update needs besides gradients, in a plan whose layout stands.
void plan_update(const Graph& graph, const DataSharding& sharding, const Mesh& mesh,
                 const TrainingOptions& options, core::SessionPlan& plan) {
  plan.sharding = sharding.state();
  plan.optimizer = options.optimizer;
  plan.ranges =
      sharding.update_ranges(core::update_ranges(plan.layout, options.optimizer, options.groups));
  if (splits_norm(sharding, mesh)) plan.norm_ranges = norm_ranges(sharding, mesh, options, plan);
  plan.control = control_options(graph, options);
  plan.seed = options.seed;
  plan.global_batch = options.batch.global_batch;
  plan.sample_offset = options.batch.offset(mesh.coordinate(options.rank, Axis::kData));
}

void recompute_blocks(Graph& graph) {
  const std::vector<std::string> blocks = core::blocks_of(graph);
  if (blocks.empty())
    fail("train.recompute: this network has no blocks to compute again; leave it NONE");
  core::recompute(graph, {blocks.begin(), blocks.end()});
}

}  // namespace

core::SessionPlan plan_training(Graph train, std::optional<Graph> eval, const Mesh& mesh,
                                const TrainingOptions& options) {
  const int data_ranks = mesh.size(Axis::kData);
  const core::DifferentiateOptions how{.global_batch = options.batch.global_batch,
                                       .frozen = core::frozen_parameters(train, options.groups)};
  // Rewrites of the forward graph, of `train` and of `eval`, go here.
  const TensorOptions tensor = tensor_options(mesh, options);
  core::SessionPlan plan;
  if (tensor.place.size > 1) plan.whole = whole_parameters(train, how, options);
  train = shard_tensor(train, tensor);
  if (eval) eval = shard_tensor(*eval, tensor);
  core::differentiate(train, how);
  if (options.recompute) recompute_blocks(train);
  plan.layout = core::make_flat_layout(train, options.bucket_bytes, data_ranks);
  if (tensor.place.size == 1) plan.whole = core::whole_parameters(plan.layout);
  DataSharding sharding(options.zero, data_ranks, mesh.coordinate(options.rank, Axis::kData),
                        plan.layout);
  core::BuildOptions build = train_options(options);
  build.segments = core::whole_graph(train);
  sharding.add_to_training(train, build);
  sharding.add_parameters(train, build);
  build.after_backward = partial_gradient_sums(plan.layout, sharding);
  if (mesh.world() > 1) build.after_backward.push_back(control_reduction(train));
  build.counts_sums = tensor.place.rank == 0;
  if (splits_norm(sharding, mesh)) build.norm_reduction = norm_reduction();

  plan_update(train, sharding, mesh, options, plan);
  plan.train = core::build_program(std::move(train), plan.layout, build);
  if (eval) {
    build = eval_options(options);
    build.segments = core::whole_graph(*eval);
    sharding.add_parameters(*eval, build);
    if (mesh.world() > 1) build.after_backward = {control_reduction(*eval)};
    build.counts_sums = tensor.place.rank == 0;
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
