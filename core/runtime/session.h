// A training session on one device: the programs, the arenas they share, and the step.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/program/program.h"
#include "core/runtime/executor.h"

namespace trireme::core {

// Everything a session is made from; plain data, the same on the CPU and on a GPU.
struct SessionPlan {
  Program train;
  std::optional<Program> eval;  // of the same parameters
  FlatLayout layout;
  OptimizerOptions optimizer;
  std::vector<UpdateRange> ranges;  // of the update, in the flat buffer
  ControlOptions control;
  uint64_t seed = 1;
  int64_t global_batch = 1;   // samples in a step
  int64_t sample_offset = 0;  // this rank's first row in the global batch
};

// Global sums of one pass: of each loss, then each metric, in the graph's order.
struct PassResult {
  struct Sum {
    double sum = 0, weight = 0;
    double mean() const { return sum / weight; }
  };
  std::vector<Sum> sums;
  double stop_votes = 0;
  StepState step;  // after the update; of a training step only
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
  // result (kept until the next call) holds global sums. `vote_stop` asks all ranks to stop after
  // it.
  const PassResult& train_step(InputSource& source, bool vote_stop = false);
  // One pass of the eval program.
  const PassResult& evaluate(InputSource& source);

  // Host copies, by name: of a parameter, and of its gradient as the last step's update saw it
  // (the sum over all ranks, seeded with loss scale / nominal count).
  std::vector<float> parameter(const std::string& name) const;
  std::vector<float> gradient(const std::string& name) const;
  void set_parameter(const std::string& name, std::span<const float> values);
  // The whole flat parameter buffer, padding included.
  std::vector<float> parameters() const;

  std::string where() const;
  int64_t arena_bytes() const;

 private:
  struct Arenas;
  const PassResult& collect(const Graph& graph, bool train);
  std::vector<float> read(const Buffer& buffer, int64_t first, int64_t elements) const;

  Device& device_;
  SessionPlan plan_;
  std::unique_ptr<Arenas> arenas_;
  std::unique_ptr<NormKernel> norm_;
  std::unique_ptr<ControlKernel> control_;
  std::unique_ptr<UpdateKernel> update_;
  std::unique_ptr<Executor> train_;
  std::unique_ptr<Executor> eval_;
  StepState* host_step_ = nullptr;  // pinned; what the host writes and reads of the device's
  double* host_control_ = nullptr;  // pinned
  bool prepared_for_eval_ = false;
  bool prepared_for_train_ = false;
  PassResult result_;
};

}  // namespace trireme::core
