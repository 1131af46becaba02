// The one composition of all parallelism: from graphs of one micro-batch, built as if there were
// one device, to one rank's programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/optim/parameter_groups.h"
#include "core/runtime/session.h"
#include "parallel/batch_split.h"
#include "parallel/mesh.h"
#include "parallel/partition.h"
#include "parallel/schedule.h"

namespace trireme::parallel {

struct PipelineOptions {
  PipelineSchedule schedule = PipelineSchedule::kOneFOneB;
  int virtual_stages = 1;         // chunks of a stage
  std::vector<std::string> ends;  // PartitionOptions::ends
  int64_t memory_limit = 0;       // of a rank, as in PartitionOptions
};

struct TrainingOptions {
  core::DeviceKind device = core::DeviceKind::kCpu;
  int rank = 0;
  BatchSplit batch;
  int64_t eval_micro_batch = 0;
  int eval_micro_batches = 0;  // of one rank in a pass
  core::OptimizerOptions optimizer;
  std::optional<core::AverageOptions> average;  // of the parameters
  core::Schedule schedule;
  float clip_norm = 0;
  std::vector<core::ParameterGroup> groups;
  uint64_t seed = 1;
  int zero = 0;
  core::DType operands = core::DType::kF32;          // of matrix products: core/graph/precision.h
  core::LossScaling loss_scaling{.initial = 65536};  // with operands in f16
  // The blocks' activations, in backward; of networks without blocks, of groups of layers. Of each
  // stage so many blocks, those that keep most first; -1: all of them.
  bool recompute = false;
  int recomputed_blocks = -1;
  int64_t bucket_bytes = int64_t{25} << 20;
  bool sequence = false;  // TensorOptions::sequence
  PipelineOptions pipeline;
};

// `train` holds the forward pass only; its backward is appended here. With one rank the programs
// hold no collective at all. Throws InvalidArgument for a layout that does not fit the network,
// and for a network with states.
core::SessionPlan plan_training(core::Graph train, std::optional<core::Graph> eval,
                                const Mesh& mesh, const TrainingOptions& options);

// How plan_training cuts the network of `options` into stages.
PartitionOptions partition_options(const Mesh& mesh, const TrainingOptions& options);

// The cut in words: a table of a line a chunk.
std::string explain_stages(const core::Graph& forward, const Mesh& mesh,
                           const TrainingOptions& options);

}  // namespace trireme::parallel
