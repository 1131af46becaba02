#include "parallel/plan_training.h"

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/layer_groups.h"
#include "core/graph/precision.h"
#include "core/graph/recompute.h"
#include "core/optim/exact_sum.h"
#include "core/program/build.h"
#include "parallel/data_sharding.h"
#include "parallel/groups.h"
#include "parallel/leaf_reduction.h"
#include "parallel/partition.h"
#include "parallel/pipeline.h"
#include "parallel/shard_tensor.h"
#include "parallel/tensor_gradients.h"
#include "parallel/ties.h"

namespace trireme::parallel {
namespace {

using core::Graph;

// A session has no arena for states, and checkpoints do not hold them.
void refuse_states(const Graph& graph) {
  const std::vector<core::ValueId> states = graph.with_role(core::Role::kState);
  if (states.empty()) return;
  fail("[train] expects a network without states, got '{}': checkpoints hold none in this version",
       graph.value(states.front()).name);
}

bool is_exact(const TrainingOptions& options) { return options.batch.leaves > 0; }

core::PlannedCollective exact_reduction(const core::PlannedExactSum& sums, std::string what) {
  return {.kind = core::CollectiveKind::kAllReduce,
          .op = core::ReduceOp::kSum,
          .dtype = core::DType::kI64,
          .group = kWorldGroup,
          .location = sums.sums,
          .count = sums.count * core::kExactLimbs,
          .what = std::move(what)};
}

core::PlannedCollective control_reduction(const Graph& graph, const TrainingOptions& options) {
  if (is_exact(options)) return exact_reduction(core::exact_control(graph), "the control vector");
  return {.kind = core::CollectiveKind::kAllReduce,
          .op = core::ReduceOp::kSum,
          .dtype = core::DType::kF64,
          .group = kWorldGroup,
          .location = {core::Arena::kControl, 0},
          .count = core::control_elements(graph),
          .what = "the control vector"};
}

core::PlannedCollective norm_reduction(const Graph& graph, const TrainingOptions& options) {
  if (is_exact(options)) return exact_reduction(core::exact_norm(graph), "the gradients' norm");
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
  if (options.operands == core::DType::kF16) control.scaling = options.loss_scaling;
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
          .update = true,
          .exact_sums = is_exact(options)};
}

core::BuildOptions eval_options(const TrainingOptions& options) {
  return {.name = "eval",
          .device = options.device,
          .micro_batch = options.eval_micro_batch,
          .micro_batches = options.eval_micro_batches,
          .exact_sums = is_exact(options)};
}

// What the update needs besides gradients, in a plan whose layout stands.
void plan_update(const Graph& graph, const DataSharding& sharding, const Mesh& mesh,
                 const TrainingOptions& options, core::SessionPlan& plan) {
  plan.sharding = sharding.state();
  plan.optimizer = options.optimizer;
  plan.average = options.average;
  plan.ranges =
      sharding.update_ranges(core::update_ranges(plan.layout, options.optimizer, options.groups));
  plan.control = control_options(graph, options);
  plan.seed = options.seed;
  plan.global_batch = options.batch.global_batch;
  plan.sample_offset = options.batch.offset(mesh.coordinate(options.rank, Axis::kData));
}

// Of a stage whose chunks have so many slots: blocks in the order in which computing them again
// frees the most.
std::vector<std::string> blocks_by_gain(const Graph& graph, const std::vector<int>& slots) {
  std::vector<core::BlockStash> stashes = core::stashes_of(graph);
  std::ranges::stable_sort(stashes, std::greater{}, [&](const core::BlockStash& stash) {
    return stash.bytes * slots[stash.chunk];
  });
  std::vector<std::string> names;
  for (core::BlockStash& stash : stashes) names.push_back(std::move(stash.block));
  return names;
}

TensorOptions tensor_options(const Mesh& mesh, const TrainingOptions& options) {
  return {.place = {.size = mesh.size(Axis::kTensor),
                    .rank = mesh.coordinate(options.rank, Axis::kTensor),
                    .group = kTensorGroup},
          .sequence = options.sequence};
}

// Throws with the field that is at fault.
Graph shard(const Graph& forward, const TensorOptions& options) {
  try {
    return shard_tensor(forward, options);
  } catch (const InvalidArgument& error) {
    fail("parallel.tensor ({}): {}", options.place.size, error.what());
  }
}

Graph first_of_tensor_axis(const Graph& forward, const Mesh& mesh, const TrainingOptions& options) {
  TensorOptions first = tensor_options(mesh, options);
  first.place.rank = 0;
  return shard(forward, first);
}

// A rank's part of a graph. With one stage: all of it, in the build's default turns.
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
        tensor_(tensor_options(mesh, options)),
        place_{.stages = mesh.size(Axis::kPipeline),
               .chunks = mesh.size(Axis::kPipeline) > 1 ? options.pipeline.virtual_stages : 1,
               .stage = mesh.coordinate(options.rank, Axis::kPipeline)} {}

  core::SessionPlan run(Graph train, std::optional<Graph> eval) {
    check_determinism();
    core::DifferentiateOptions how{.global_batch = options_.batch.global_batch,
                                   .frozen = core::frozen_parameters(train, options_.groups)};
    core::SessionPlan plan;
    plan.whole = whole_parameters(train, how);
    how.separate_uses = is_exact(options_);
    // Rewrites of the forward graphs go here.
    core::set_precision(train, options_.operands);
    if (eval) core::set_precision(*eval, options_.operands);
    cut(train, eval);
    core::differentiate(train, how);
    ties_ = find_ties(train, place_);
    if (is_exact(options_)) check_tie_order(train, ties_, place_.stages);
    Part part = train_part(std::move(train), plan);
    const int data_rank = mesh_.coordinate(options_.rank, Axis::kData);
    plan.layout = core::make_flat_layout(part.graph, options_.bucket_bytes, mesh_.size(Axis::kData),
                                         ties_.parameters);
    DataSharding sharding(options_.zero, mesh_.size(Axis::kData), data_rank, options_.batch,
                          plan.layout, ties_);
    core::BuildOptions build = train_build(part, sharding);
    plan_update(part.graph, sharding, mesh_, options_, plan);
    if (splits_norm(sharding) || is_exact(options_))
      plan.norm_ranges = norm_ranges(plan.layout, sharding);
    plan.train = core::build_program(std::move(part.graph), plan.layout, build);
    if (eval) plan.eval = build_eval(std::move(*eval), plan.layout, sharding);
    return plan;
  }

 private:
  void check_determinism() const {
    if (!is_exact(options_)) return;
    if (options_.device != core::DeviceKind::kCpu)
      fail(
          "train.determinism: LAYOUT is for CPUs in this version; train with --device cpu, or "
          "leave "
          "it RUN");
    const int ranks = mesh_.size(Axis::kData);
    ensure(options_.batch.data_ranks == ranks &&
               options_.batch.dealt == (options_.zero >= 2 && ranks > 1),
           "leaves are dealt out as ZeRO reduces them");
  }

  // Whether ranks hold different parameters, and so have different parts of the norm.
  bool split_parameters() const { return mesh_.world() > mesh_.size(Axis::kData); }

  // The parameters of the network before it is cut, in an order that all ranks have.
  std::vector<core::WholeParameter> whole_parameters(Graph train,
                                                     const core::DifferentiateOptions& how) const {
    core::differentiate(train, how);
    return core::whole_parameters(core::make_flat_layout(train, options_.bucket_bytes, 1));
  }

  // The ranks of the tensor axis need not hold as much as each other, but are cut into the same
  // stages: as the first of them is.
  void cut(Graph& train, std::optional<Graph>& eval) const {
    Graph mine = shard(train, tensor_);
    if (eval) eval = shard(*eval, tensor_);
    if (place_.stages > 1) {
      Graph model = first_of_tensor_axis(train, mesh_, options_);
      set_chunks(model, partition(model, partition_options(mesh_, options_)));
      copy_chunks(model, mine);
      if (eval) copy_chunks(model, *eval);
    }
    train = std::move(mine);
  }

  // Blocks may be cut, so what is computed again is computed in the stage.
  Part train_part(Graph whole, core::SessionPlan& plan) const {
    const bool in_blocks = !core::blocks_of(whole).empty();
    StageGraph stage;
    if (place_.stages > 1)
      stage = extract_stage(whole, place_);
    else
      stage.graph = std::move(whole);
    if (options_.recompute) {
      if (!in_blocks) core::group_layers(stage.graph);
      recompute_blocks(stage.graph, plan);
    }
    if (place_.stages == 1) return whole_part(std::move(stage.graph));
    StageWork work =
        plan_stage(stage, place_, options_.pipeline.schedule, options_.batch.micro_batches);
    return {.graph = std::move(stage.graph), .work = std::move(work)};
  }

  Part eval_part(Graph whole) const {
    if (place_.stages == 1) return whole_part(std::move(whole));
    StageGraph stage = extract_stage(whole, place_);
    StageWork work = plan_forward_stage(stage, place_, options_.eval_micro_batches);
    return {.graph = std::move(stage.graph), .work = std::move(work)};
  }

  static Part whole_part(Graph whole) {
    std::vector<core::SegmentPlan> segments = core::whole_graph(whole);
    return {.graph = std::move(whole), .work = {.segments = std::move(segments), .turns = {}}};
  }

  void recompute_blocks(Graph& graph, core::SessionPlan& plan) const {
    const std::vector<std::string> blocks = blocks_by_gain(graph, slots_of_chunks());
    plan.blocks = static_cast<int>(blocks.size());
    plan.recomputed_blocks = options_.recomputed_blocks < 0
                                 ? plan.blocks
                                 : std::min(plan.blocks, options_.recomputed_blocks);
    core::recompute(graph, {blocks.begin(), blocks.begin() + plan.recomputed_blocks});
  }

  std::vector<int> slots_of_chunks() const {
    if (place_.stages == 1) return {1};
    const auto steps =
        make_schedule(options_.pipeline.schedule,
                      {place_.stages, options_.batch.micro_batches, place_.chunks}, place_.stage);
    std::vector<int> slots;
    for (int chunk = 0; chunk < place_.chunks; ++chunk) slots.push_back(slot_count(steps, chunk));
    return slots;
  }

  // Whether the norm is a sum over ranks.
  bool splits_norm(const DataSharding& sharding) const {
    return split_parameters() || sharding.splits_norm();
  }

  // Of data ranks that hold the same gradients the first alone counts them.
  std::vector<core::ElementRange> norm_ranges(const core::FlatLayout& layout,
                                              const DataSharding& sharding) const {
    const bool alike = split_parameters() && !sharding.splits_norm();
    if (alike && mesh_.coordinate(options_.rank, Axis::kData) != 0) return {};
    std::vector<core::ElementRange> ranges;
    for (const core::FlatParameter& parameter : layout.parameters)
      if (counts(parameter))
        ranges.push_back({parameter.offset, parameter.offset + parameter.elements});
    return sharding.norm_ranges(ranges);
  }

  // Every element on one rank: what is tied where it is held first, what the ranks of the tensor
  // axis hold in common on the first of them.
  bool counts(const core::FlatParameter& parameter) const {
    if (!parameter.trained) return false;
    if (ties_.is_tied(parameter.name) && ties_.stages.front() != place_.stage) return false;
    return tensor_.place.rank == 0 || !parameter.slice.is_whole();
  }

  core::BuildOptions train_build(Part& part, DataSharding& sharding) const {
    core::BuildOptions build = train_options(options_);
    build.segments = std::move(part.work.segments);
    build.turns = std::move(part.work.turns);
    sharding.add_to_training(part.graph, build);
    sharding.add_parameters(part.graph, build);
    for (core::PlannedCollective& sum : partial_gradient_sums(sharding))
      build.after_backward.push_back(std::move(sum));
    if (mesh_.world() > 1) build.after_backward.push_back(control_reduction(part.graph, options_));
    build.counts_sums = tensor_.place.rank == 0;
    if (splits_norm(sharding)) build.norm_reduction = norm_reduction(part.graph, options_);
    return build;
  }

  core::Program build_eval(Graph eval, const core::FlatLayout& layout,
                           const DataSharding& sharding) const {
    core::BuildOptions build = eval_options(options_);
    Part part = eval_part(std::move(eval));
    build.segments = std::move(part.work.segments);
    build.turns = std::move(part.work.turns);
    sharding.add_parameters(part.graph, build);
    if (mesh_.world() > 1) build.after_backward = {control_reduction(part.graph, options_)};
    build.counts_sums = tensor_.place.rank == 0;
    return core::build_program(std::move(part.graph), layout, build);
  }

  const Mesh& mesh_;
  const TrainingOptions& options_;
  TensorOptions tensor_;
  StagePlace place_;
  Ties ties_;
};

// f32 that a rank holds for each of its parameters: itself, its gradient, what updates keep.
double copies_of_parameters(const Mesh& mesh, const TrainingOptions& options) {
  const double shared = 1.0 / mesh.size(Axis::kData);
  const int zero = options.zero;
  return (zero >= 3 ? shared : 1) + (zero >= 2 ? shared : 1) +
         std::ssize(core::kept_buffers(options.optimizer, options.average.has_value())) *
             (zero >= 1 ? shared : 1);
}

PartitionOptions::Recompute recompute_of(const TrainingOptions& options) {
  using Recompute = PartitionOptions::Recompute;
  if (!options.recompute) return Recompute::kNone;
  return options.recomputed_blocks < 0 ? Recompute::kAll : Recompute::kIfNeeded;
}

}  // namespace

PartitionOptions partition_options(const Mesh& mesh, const TrainingOptions& options) {
  PartitionOptions partition{.stages = mesh.size(Axis::kPipeline),
                             .virtual_stages = options.pipeline.virtual_stages,
                             .ends = options.pipeline.ends,
                             .copies = copies_of_parameters(mesh, options),
                             .memory_limit = options.pipeline.memory_limit,
                             .recompute = recompute_of(options)};
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

std::string explain_stages(const Graph& forward, const Mesh& mesh, const TrainingOptions& options) {
  const PartitionOptions how = partition_options(mesh, options);
  return partition(first_of_tensor_axis(forward, mesh, options), how).explain(how);
}

core::SessionPlan plan_training(Graph train, std::optional<Graph> eval, const Mesh& mesh,
                                const TrainingOptions& options) {
  refuse_states(train);
  if (eval) refuse_states(*eval);
  return Composer(mesh, options).run(std::move(train), std::move(eval));
}

}  // namespace trireme::parallel
