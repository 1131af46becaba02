// A training session on one device: the programs, the arenas they share, and the step.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/program/program.h"
#include "core/runtime/executor.h"
#include "core/runtime/flat_state.h"

namespace trireme::core {

// Everything a session is made from; plain data, the same on the CPU and on a GPU.
struct SessionPlan {
  Program train;
  std::optional<Program> eval;  // of the same parameters
  FlatLayout layout;
  OptimizerOptions optimizer;
  std::optional<AverageOptions> average;  // of the parameters
  StateSharding sharding;
  // The parameters of all ranks, in the same order on each; `layout` has this rank's.
  std::vector<WholeParameter> whole;
  std::vector<UpdateRange> ranges;  // of the update, in the flat buffer
  // What this rank adds to the global norm, so that every parameter counts once; else all it has.
  // Always there with exact sums.
  std::optional<std::vector<ElementRange>> norm_ranges;
  ControlOptions control;
  uint64_t seed = 1;
  int64_t global_batch = 1;   // samples in a step
  int64_t sample_offset = 0;  // this rank's first row in the global batch
  int blocks = 0;             // of this rank, that recomputing would save memory in
  int recomputed_blocks = 0;  // of those, that `train` computes again in backward

  // With the parameters, what a checkpoint holds.
  std::vector<StateBuffer> kept() const { return kept_buffers(optimizer, average.has_value()); }
};

// What a rank tells all others with a training step; each is summed over the ranks, so that what is
// decided on the sums is decided everywhere after the same step.
struct Votes {
  double stop = 0;       // end after this step, for good
  double requeue = 0;    // end after this step, to be started again
  double save_done = 0;  // this rank's part of the checkpoint under way is done, or has failed
  bool operator==(const Votes&) const = default;
};
static_assert(sizeof(Votes) == kVotes * sizeof(double));

// What drives data, random numbers, the schedule and Adam's bias correction, and the next step's
// loss scale.
struct StepCounters {
  int64_t attempted = 0, applied = 0, non_finite = 0;
  float loss_scale = 0;  // 0: there is none; set, it leaves that of the plan
  int32_t good_steps = 0;
  bool operator==(const StepCounters&) const = default;
};

// Where a session is, for another thread. Of two ranks of one job, the one with less is behind.
struct SessionPlace {
  int64_t pass = 0;   // programs run so far, training steps and evaluations
  int64_t place = 0;  // Executor::place() of the last one
};

// Global sums of one pass: of each loss, then each metric, in the graph's order.
struct PassResult {
  struct Sum {
    double sum = 0, weight = 0;
    double mean() const { return sum / weight; }
  };
  std::vector<Sum> sums;
  Votes votes;
  StepState step;                    // after the update; of a training step only
  CommunicationTimes communication;  // of a training step only; 0 where nothing was measured
};

class Session {
 public:
  // Allocates every arena and makes every kernel. `device` and `transport` outlive the session.
  Session(Device& device, Transport& transport, SessionPlan plan);
  ~Session();

  const SessionPlan& plan() const { return plan_; }

  // Draws the first values: element i of parameter p is a function of (seed, p, i) alone.
  void initialize();

  // One optimizer step on plan().train.micro_batches micro-batches. Returns when it is done; the
  // result (kept until the next call) holds global sums, of the votes too.
  const PassResult& train_step(InputSource& source, const Votes& votes = {});
  // One pass of the eval program.
  const PassResult& evaluate(InputSource& source);

  // Host copies, by name: of a parameter, and of its gradient as the last step's update saw it
  // (the sum over all ranks, seeded with loss scale / nominal count). The rank holds all of it.
  std::vector<float> parameter(const std::string& name) const;
  std::vector<float> gradient(const std::string& name) const;
  void set_parameter(const std::string& name, std::span<const float> values);
  // The whole flat parameter buffer, padding included.
  std::vector<float> parameters() const;

  // The parts of a range that this rank holds.
  std::vector<ElementRange> held(const StateRange& range) const;
  // Host copies of the ranges, one after the other. `out` has room for all of their elements.
  // Reading needs all of a range to be held here; writing leaves out what is not.
  void read_state(std::span<const StateRange> ranges, float* out) const;
  void write_state(const StateRange& range, std::span<const float> values);
  StepCounters counters() const;
  void set_counters(const StepCounters& counters);

  // Any thread.
  std::string where() const;
  SessionPlace place() const;

  int64_t arena_bytes() const;

 private:
  struct Arenas;
  bool scales_loss() const { return plan_.control.scaling.initial > 0; }
  const PassResult& collect(const Graph& graph, bool train);
  void run(Executor& executor, InputSource& source);
  std::vector<float> read(const StateRange& range) const;

  Device& device_;
  SessionPlan plan_;
  std::unique_ptr<Arenas> arenas_;
  std::unique_ptr<NormKernel> norm_;
  std::unique_ptr<ExactNormKernel> exact_norm_;
  std::unique_ptr<ControlKernel> control_;
  std::unique_ptr<UpdateKernel> update_;
  std::optional<AverageKernel> average_;
  std::unique_ptr<Executor> train_;
  std::unique_ptr<Executor> eval_;
  HostPointer<StepState> host_step_;      // pinned; what the host writes and reads of the device's
  HostPointer<double> host_control_;      // pinned
  std::atomic<const Executor*> running_;  // the one that ran last
  std::atomic<int64_t> passes_{0};
  bool prepared_for_eval_ = false;
  bool prepared_for_train_ = false;
  PassResult result_;
};

}  // namespace trireme::core
