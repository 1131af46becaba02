// The mesh: the ranks of a job as a box of named axes.
//
// Coordinates run tensor first (ranks of one node are neighbours there), then data, then pipeline:
// rank = tensor + tensor_size (data + data_size pipeline). World = data x tensor x pipeline.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace trireme::parallel {

enum class Axis : uint8_t { kTensor, kData, kPipeline };
constexpr int kAxes = 3;
constexpr std::string_view name_of(Axis axis) {
  constexpr std::array<std::string_view, kAxes> names{"tensor", "data", "pipeline"};
  return names[static_cast<size_t>(axis)];
}

// Sizes by axis; 0 means "whatever is left".
struct Layout {
  int data = 0;
  int tensor = 1;
  int pipeline = 1;
};

class Mesh {
 public:
  // Throws InvalidArgument if the product is not the world, naming the nearest worlds or sizes.
  Mesh(Layout layout, int world);

  int size(Axis axis) const { return sizes_[static_cast<size_t>(axis)]; }
  int world() const { return sizes_[0] * sizes_[1] * sizes_[2]; }
  int coordinate(int rank, Axis axis) const;
  // The number of the group of ranks that differ from `rank` along `axis` only.
  int group(int rank, Axis axis) const;
  // The first rank of that rank's pipeline stage.
  int first_of_stage(int rank) const;
  std::string str() const;  // "data 4 x tensor 1 x pipeline 1"

 private:
  std::array<int, kAxes> sizes_{};  // by Axis
};

}  // namespace trireme::parallel
