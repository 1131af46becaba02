#include "parallel/plan_training.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
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
  plan.ranges =
      sharding.update_ranges(core::update_ranges(plan.layout, options.optimizer, options.groups));
  plan.control = control_options(graph, options);
  plan.seed = options.seed;
  plan.global_batch = options.batch.global_batch;
  plan.sample_offset = options.batch.offset(mesh.coordinate(options.rank, Axis::kData));
}

void recompute_blocks(Graph& graph) {
  const std::vector<std::string> blocks = core::blocks_of(graph);
  core::recompute(graph, {blocks.begin(), blocks.end()});
}

TensorOptions tensor_options(const Mesh& mesh, const TrainingOptions& options) {
  return {.place = {.size = mesh.size(Axis::kTensor),
                    .rank = mesh.coordinate(options.rank, Axis::kTensor),
                    .group = kTensorGroup},
          .sequence = options.sequence};
}

Graph first_of_tensor_axis(const Graph& forward, const Mesh& mesh, const TrainingOptions& options) {
  TensorOptions first = tensor_options(mesh, options);
  first.place.rank = 0;
  return shard_tensor(forward, first);
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
    cut(train, eval);
    core::differentiate(train, how);
    ties_ = find_ties(train, place_);
    if (is_exact(options_)) check_tie_order(train, ties_, place_.stages);
    Part part = part_of(std::move(train), [&](const StageGraph& stage) {
      return plan_stage(stage, place_, options_.pipeline.schedule, options_.batch.micro_batches);
    });
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
    if (options_.recompute && core::blocks_of(train).empty())
      fail("train.recompute: this network has no blocks to compute again; leave it NONE");
    Graph mine = shard_tensor(train, tensor_);
    if (eval) eval = shard_tensor(*eval, tensor_);
    if (place_.stages > 1) {
      Graph model = first_of_tensor_axis(train, mesh_, options_);
      set_chunks(model, partition(model, partition_options(mesh_, options_)));
      copy_chunks(model, mine);
      if (eval) copy_chunks(model, *eval);
    }
    train = std::move(mine);
  }

  template <typename PlanWork>
  Part part_of(Graph whole, const PlanWork& plan_work) const {
    // Blocks may be cut, so what is computed again is computed in the stage; without backward that
    // is nothing.
    if (place_.stages == 1) {
      if (options_.recompute) recompute_blocks(whole);
      std::vector<core::SegmentPlan> segments = core::whole_graph(whole);
      return {.graph = std::move(whole), .work = {.segments = std::move(segments), .turns = {}}};
    }
    StageGraph stage = extract_stage(whole, place_);
    if (options_.recompute) recompute_blocks(stage.graph);
    StageWork work = plan_work(stage);
    return {.graph = std::move(stage.graph), .work = std::move(work)};
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
    Part part = part_of(std::move(eval), [&](const StageGraph& stage) {
      return plan_forward_stage(stage, place_, options_.eval_micro_batches);
    });
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

std::string explain_stages(const Graph& forward, const Mesh& mesh, const TrainingOptions& options) {
  const PartitionOptions how = partition_options(mesh, options);
  return partition(first_of_tensor_axis(forward, mesh, options), how).explain(how);
}

core::SessionPlan plan_training(Graph train, std::optional<Graph> eval, const Mesh& mesh,
                                const TrainingOptions& options) {
  return Composer(mesh, options).run(std::move(train), std::move(eval));
}

}  // namespace trireme::parallel
