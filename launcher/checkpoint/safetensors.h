// Named f32 tensors in one file of the safetensors format: an 8-byte little-endian length, a JSON
// header of that length, then the tensors' bytes.
//
// Nothing in a file is believed before it is checked: lengths against the file's size, shapes with
// overflow-checked products, ranges for order, overlap and gaps.
//
// Source: the format's own page, https://huggingface.co/docs/safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/shape.h"
#include "launcher/base/atomic.h"

namespace trireme::launcher {

struct NamedTensor {
  std::string name;
  core::Shape shape;
  std::vector<float> values;
};

struct TensorName {
  std::string name;
  core::Shape shape;
};

// A file that is written piece by piece; without commit() nothing is left, and what had its name
// stays. Throws SystemError if the disk fails.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<TensorName>& tensors,
                    const std::map<std::string, std::string>& metadata);

  // The next values, of one tensor after the other.
  void write(std::span<const float> values);
  // Throws SystemError, a mistake of ours, if not all values have been written.
  void commit();

 private:
  AtomicFile file_;
  int64_t missing_ = 0;  // bytes
};

// Writes `path` so that it holds the old file or the whole new one, whatever happens: into a
// temporary file beside it, fsync, rename, fsync of the folder. Throws SystemError if the disk
// fails; the temporary file is removed.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;

  // Throws InvalidArgument (kBadCheckpoint) if there is none of that name.
  const NamedTensor& find(const std::string& name) const;
  std::string path;
};

// Throws InvalidArgument (kBadCheckpoint), one line that names the file and the tensor, for
// whatever is missing, truncated, oversized, overlapping or not f32.
SafetensorsFile read_safetensors(const std::filesystem::path& path);
// The same of a file's bytes; `name` opens the errors.
SafetensorsFile parse_safetensors(std::string name, std::span<const uint8_t> bytes);

}  // namespace trireme::launcher
