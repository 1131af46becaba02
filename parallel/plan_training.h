// The one composition of all parallelism: from graphs of one micro-batch, built as if there were
// one device, to one rank's programs.
#pragma once

#include <optional>
#include <vector>

#include "core/optim/parameter_groups.h"
#include "core/runtime/session.h"
#include "parallel/batch_split.h"
#include "parallel/mesh.h"

namespace trireme::parallel {

struct TrainingOptions {
  core::DeviceKind device = core::DeviceKind::kCpu;
  int rank = 0;
  BatchSplit batch;
  int64_t eval_micro_batch = 0;
  int eval_micro_batches = 0;  // of one rank in a pass
  core::OptimizerOptions optimizer;
  core::Schedule schedule;
  float clip_norm = 0;
  std::vector<core::ParameterGroup> groups;
  uint64_t seed = 1;
  int zero = 0;
  int64_t bucket_bytes = int64_t{25} << 20;
};

// `train` holds the forward pass only; its backward is appended here. With one rank the programs
// hold no collective at all.
core::SessionPlan plan_training(core::Graph train, std::optional<core::Graph> eval,
                                const Mesh& mesh, const TrainingOptions& options);

// The collectives of both programs, of all groups, in their order.
std::vector<core::CollectiveCall> collectives(const core::SessionPlan& plan);

}  // namespace trireme::parallel
