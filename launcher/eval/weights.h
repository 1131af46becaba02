// Saved weights, wherever they lie, into a model.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/program/flat_layout.h"
#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/safetensors.h"
#include "launcher/eval/saved_weights.h"

namespace trireme::core {
class Session;
}

namespace trireme::launcher {

class Weights {
 public:
  // Throws InvalidArgument (kBadCheckpoint) if there are none.
  explicit Weights(const WeightsPlace& place);

  std::string name() const;
  // Throws InvalidArgument (kBadCheckpoint) for parameters that are missing, damaged, of another
  // shape, or (of a file) more than the model has.
  void load(core::Session& session);
  // The same, of every parameter of `layout`, which must be whole, through `set`.
  using Set = std::function<void(const std::string& name, std::span<const float> values)>;
  void load(const core::FlatLayout& layout, const Set& set);

 private:
  int find_saved(const std::string& name, const core::Shape& shape) const;
  const NamedTensor& find_in_file(const std::string& name, const core::Shape& shape) const;
  void check_count(size_t parameters) const;

  std::unique_ptr<CheckpointReader> checkpoint_;  // or else:
  SafetensorsFile file_;
  bool average_;
};

}  // namespace trireme::launcher
