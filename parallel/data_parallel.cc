#include "parallel/data_parallel.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/program/build.h"

namespace trireme::parallel {
namespace {

using core::Graph;

// The node after which every gradient of a bucket is complete.
core::NodeId ready_after(const Graph& graph, const core::FlatLayout& layout,
                         const core::Bucket& bucket) {
  core::NodeId last = core::kNoNode;
  for (int i = bucket.first_parameter; i < bucket.end_parameter; ++i) {
    const core::ValueId gradient = graph.find(layout.parameters[i].name + "/grad");
    for (core::NodeId id = 0; id < static_cast<core::NodeId>(graph.nodes().size()); ++id)
      if (std::ranges::find(graph.node(id).outputs, gradient) != graph.node(id).outputs.end())
        last = std::max(last, id);
  }
  return last;
}

std::string name_of(const core::FlatLayout& layout, size_t number) {
  const core::Bucket& bucket = layout.buckets[number];
  return fmt::format("bucket {} ({}{})", number, layout.parameters[bucket.first_parameter].name,
                     bucket.end_parameter - bucket.first_parameter > 1 ? " ..." : "");
}

std::vector<core::CollectiveAfter> bucket_reductions(const Graph& graph,
                                                     const core::FlatLayout& layout) {
  std::vector<core::CollectiveAfter> reductions;
  for (size_t i = 0; i < layout.buckets.size(); ++i) {
    const core::Bucket& bucket = layout.buckets[i];
    reductions.push_back({.after = ready_after(graph, layout, bucket),
                          .collective = {.kind = core::CollectiveKind::kAllReduce,
                                         .op = core::ReduceOp::kSum,
                                         .dtype = core::DType::kF32,
                                         .group = kDataGroup,
                                         .location = {core::Arena::kGradients, bucket.begin * 4},
                                         .count = bucket.end - bucket.begin,
                                         .what = name_of(layout, i)}});
  }
  return reductions;
}

core::PlannedCollective control_reduction(const Graph& graph) {
  return {.kind = core::CollectiveKind::kAllReduce,
          .op = core::ReduceOp::kSum,
          .dtype = core::DType::kF64,
          .group = kWorldGroup,
          .location = {core::Arena::kControl, 0},
          .count = core::control_elements(graph),
          .what = "the control vector"};
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

}  // namespace

core::SessionPlan plan_training(Graph train, std::optional<Graph> eval, const Mesh& mesh,
                                const TrainingOptions& options) {
  const int data_ranks = mesh.size(Axis::kData);
  const bool distributed = data_ranks > 1;
  core::differentiate(train, {.global_batch = options.batch.global_batch,
                              .frozen = core::frozen_parameters(train, options.groups)});
  core::SessionPlan plan;
  plan.layout = core::make_flat_layout(train, options.bucket_bytes, data_ranks);
  plan.optimizer = options.optimizer;
  plan.ranges = core::update_ranges(plan.layout, options.optimizer, options.groups);
  plan.control = control_options(train, options);
  plan.seed = options.seed;
  plan.global_batch = options.batch.global_batch;
  plan.sample_offset = options.batch.offset(mesh.coordinate(options.rank, Axis::kData));

  core::BuildOptions build{.name = "train",
                           .device = options.device,
                           .micro_batch = options.batch.micro_batch,
                           .micro_batches = options.batch.micro_batches,
                           .update = true};
  if (distributed) {
    build.reductions = bucket_reductions(train, plan.layout);
    build.after_backward = {control_reduction(train)};
  }
  plan.train = core::build_program(std::move(train), plan.layout, build);

  if (eval) {
    build = {.name = "eval",
             .device = options.device,
             .micro_batch = options.eval_micro_batch,
             .micro_batches = options.eval_micro_batches};
    if (distributed) build.after_backward = {control_reduction(*eval)};
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
