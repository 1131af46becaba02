// The tensors of a Hugging Face folder: model.safetensors, or the files that
// model.safetensors.index.json names; or of one such file.
//
// Nothing in a file is believed before it is checked (safetensors_header.h). Links are followed,
// since the Hugging Face cache is made of them; the index may name files of the folder alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "launcher/base/file_descriptor.h"
#include "launcher/checkpoint/safetensors_header.h"

namespace trireme::launcher {

constexpr char kModelFile[] = "model.safetensors";
constexpr char kModelIndex[] = "model.safetensors.index.json";
constexpr char kModelConfig[] = "config.json";

// The whole of a text file of at most 16 MiB. Throws InvalidArgument (kBadCheckpoint).
std::string read_text_file(const std::filesystem::path& path);

// A rectangle of a tensor of one or two axes; a vector is a column.
struct Rectangle {
  int64_t first_row = 0, rows = 0, first_column = 0, columns = 0;
};

class SafetensorsFolder {
 public:
  struct Tensor {
    core::Shape shape;
    std::string dtype;
    int file = 0;
    int64_t begin = 0;  // byte in the file
  };

  // A folder, or a file. Throws InvalidArgument (kBadCheckpoint) that names the file.
  explicit SafetensorsFolder(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return folder_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

  // Fills `out`, row-major, from a tensor of F32, F16 or BF16, whose values are all exact in f32.
  // Throws InvalidArgument (kBadCheckpoint) for another dtype, or if the file cannot be read.
  void read(const std::string& name, const Rectangle& part, float* out);

 private:
  struct File {
    std::string path;
    FileDescriptor descriptor;
  };
  void open(const std::string& name);
  void open_indexed();

  std::filesystem::path folder_;
  std::vector<File> files_;
  std::map<std::string, Tensor> tensors_;
  std::vector<std::byte> bytes_;
};

}  // namespace trireme::launcher
