// From a job and the headers of its data to one rank's programs: no device, no data, no MPI.
#pragma once

#include <cstdint>
#include <string>

#include "core/graph/graph.h"
#include "core/runtime/session.h"
#include "launcher/job/options.h"
#include "launcher/train/data_shapes.h"
#include "models/model.h"
#include "parallel/batch_split.h"
#include "parallel/mesh.h"

namespace trireme::launcher {

// How long the run is and how the batch is cut.
struct RunShape {
  parallel::Mesh mesh;
  parallel::BatchSplit batch;
  int64_t total_steps = 0;
  int64_t eval_every_steps = 0;    // 0: never
  int64_t eval_micro_batches = 0;  // of one rank in one evaluation

  double epoch(int64_t steps, int64_t train_samples) const;
};

// Throws InvalidArgument, opened with the field's place in the job file, if the world does not fit.
RunShape shape_run(const JobOptions& job, const DataShapes& data, int world);

// The forward graph of one micro-batch. Throws InvalidArgument for shapes that do not fit.
core::Graph build_graph(const JobOptions& job, const DataShapes& data, int64_t micro_batch,
                        bool training, const models::ModelFactories& factories);

// Whether evaluations of this network give what train.early_stop and checkpoint.best_metric judge
// by. Throws InvalidArgument, opened with the field's place.
void check_metrics(const JobOptions& job, const core::Graph& network);

// Bytes that one rank's arenas may take: what the job states, at most what the device has for them.
// 0: no limit.
int64_t arena_limit(const JobOptions& job, int64_t device_bytes);

// In bytes. The partitioner goes by estimates: it is told a smaller limit where the stages that it
// cut for the arenas' would not keep it.
struct MemoryLimit {
  int64_t arenas = 0;  // 0: none
  int64_t estimates = 0;
};
MemoryLimit memory_limit(int64_t arena_limit, const JobOptions& job, const DataShapes& data,
                         const RunShape& run, core::DeviceKind device,
                         const models::ModelFactories& factories);

// The programs of one rank, within the limit if train.recompute can bring that about:
// whether they are is for check_memory (launcher/plan/fit.h) to say. All ranks of a stage compute
// the same blocks again. Throws InvalidArgument as build_graph does, and for a network that cannot
// be cut so.
core::SessionPlan plan_session(const JobOptions& job, const DataShapes& data, const RunShape& run,
                               int rank, core::DeviceKind device,
                               const models::ModelFactories& factories,
                               const MemoryLimit& limit = {});

// The same with so many of the stage's blocks computed again, -1 for all, whatever the limit.
core::SessionPlan plan_recomputing(int blocks, const JobOptions& job, const DataShapes& data,
                                   const RunShape& run, int rank, core::DeviceKind device,
                                   const models::ModelFactories& factories,
                                   const MemoryLimit& limit = {});

// "recomputes 5 of 12 blocks: 410.0 of 512.0 MiB"; empty for a job that neither recomputes nor
// states a limit.
struct MemoryUse {
  int blocks = 0, recomputed_blocks = 0;
  int64_t arena_bytes = 0;
};
MemoryUse memory_use(const core::SessionPlan& plan, core::DeviceKind device);
std::string in_words(const MemoryUse& use, const JobOptions& job, int64_t arena_limit);

// How the network is cut into stages, as a table of a line each; empty with one stage.
std::string explain_stages(const JobOptions& job, const DataShapes& data, const RunShape& run,
                           const models::ModelFactories& factories, const MemoryLimit& limit = {});

}  // namespace trireme::launcher
