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

core::SessionPlan plan_session(const JobOptions& job, const DataShapes& data, const RunShape& run,
                               int rank, core::DeviceKind device,
                               const models::ModelFactories& factories);

// How the network is cut into stages, as a table of a line each; empty with one stage.
std::string explain_stages(const JobOptions& job, const DataShapes& data, const RunShape& run,
                           const models::ModelFactories& factories);

}  // namespace trireme::launcher
