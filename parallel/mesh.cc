#include "parallel/mesh.h"

#include "core/base/error.h"

namespace trireme::parallel {

Mesh::Mesh(Layout layout, int world) : sizes_{layout.tensor, layout.data, layout.pipeline} {
  int known = 1, unknown = 0;
  size_t left = 0;
  for (size_t axis = 0; axis < sizes_.size(); ++axis) {
    if (sizes_[axis] < 0)
      fail("parallel.{} ({}) must not be negative", name_of(static_cast<Axis>(axis)), sizes_[axis]);
    if (sizes_[axis] > 0) {
      known *= sizes_[axis];
    } else {
      left = axis;
      ++unknown;
    }
  }
  if (unknown > 1)
    fail("parallel: at most one of data, tensor and pipeline may be 0 (what is left)");
  if (unknown == 1) {
    if (world % known != 0)
      fail(
          "parallel: {} ranks do not divide by {} (the product of the sizes that are set); nearest "
          "worlds: {}",
          world, known,
          world < known
              ? fmt::format("{}", known)
              : fmt::format("{}, {}", world / known * known, (world / known + 1) * known));
    sizes_[left] = world / known;
  } else if (known != world) {
    fail(
        "parallel: data {} x tensor {} x pipeline {} = {} ranks, but {} were started; start {} or "
        "set parallel.data to 0",
        layout.data, layout.tensor, layout.pipeline, known, world, known);
  }
}

int Mesh::coordinate(int rank, Axis axis) const {
  for (size_t before = 0; before < static_cast<size_t>(axis); ++before) rank /= sizes_[before];
  return rank % size(axis);
}

int Mesh::group(int rank, Axis axis) const {
  int stride = 1;
  for (size_t before = 0; before < static_cast<size_t>(axis); ++before) stride *= sizes_[before];
  return rank % stride + rank / (stride * size(axis)) * stride;
}

int Mesh::first_of_stage(int rank) const {
  return coordinate(rank, Axis::kPipeline) * size(Axis::kTensor) * size(Axis::kData);
}

std::string Mesh::str() const {
  return fmt::format("data {} x tensor {} x pipeline {}", size(Axis::kData), size(Axis::kTensor),
                     size(Axis::kPipeline));
}

}  // namespace trireme::parallel
