// Programs that only run forward: one arena of parameters, one of state, one scratch for all.
//
// A model that generates is two programs, prefill and decode, that share their caches by name.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/program/program.h"
#include "core/runtime/executor.h"

namespace trireme::core {

class Inference {
 public:
  // Builds a program of each graph, allocates every arena and makes every kernel. The last graph
  // has all parameters and states that the others have. `device` outlives this.
  // Throws InvalidArgument for graphs whose states differ.
  Inference(Device& device, std::vector<Graph> graphs);
  ~Inference();

  const FlatLayout& layout() const { return layout_; }
  const Program& program(size_t i) const { return programs_[i]; }

  void set_parameter(const std::string& name, std::span<const float> values);
  // Runs program i on one array of host memory an input; returns when it is done.
  void run(size_t i, std::span<const void* const> inputs);
  // What the last run left in the f32 value `name`, which Graph::keep or Graph::state made last.
  void read(const std::string& name, std::span<float> out) const;

  int64_t arena_bytes() const;

 private:
  class NoTransport;
  void check_states() const;
  int64_t largest(int64_t Program::*bytes) const;

  Device& device_;
  FlatLayout layout_;
  std::vector<Program> programs_;
  std::unique_ptr<NoTransport> transport_;
  Buffer parameters_, state_, slots_, scratch_, control_;
  std::vector<std::unique_ptr<Executor>> executors_;
  std::vector<bool> prepared_;  // by program: its forms of the parameters are up to date
};

}  // namespace trireme::core
