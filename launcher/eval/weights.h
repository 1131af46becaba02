// Saved parameters, wherever they lie: of a safetensors file, a run folder (its model, or else its
// newest checkpoint) or a checkpoint's folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/program/flat_layout.h"
#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/safetensors.h"

namespace trireme::core {
class Session;
}

namespace trireme::launcher {

class Weights {
 public:
  // Throws InvalidArgument (kBadCheckpoint) if there are none.
  explicit Weights(const std::filesystem::path& path);

  std::string name() const;
  // Throws InvalidArgument (kBadCheckpoint) for parameters that are missing, damaged, of another
  // shape, or (of a file) more than the model has.
  void load(core::Session& session);
  // The same, of every parameter of `layout`, which must be whole, through `set`.
  using Set = std::function<void(const std::string& name, std::span<const float> values)>;
  void load(const core::FlatLayout& layout, const Set& set);

 private:
  void load_file(const core::FlatLayout& layout, const Set& set) const;
  const NamedTensor& find(const std::string& name, const core::Shape& shape) const;
  void check_count(size_t parameters) const;

  std::unique_ptr<CheckpointReader> checkpoint_;
  SafetensorsFile file_;
};

}  // namespace trireme::launcher
