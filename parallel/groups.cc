#include "parallel/groups.h"

namespace trireme::parallel {

MeshGroups::MeshGroups(comm::Communicator& world, const Mesh& mesh, bool tied)
    : groups_(kGroups, &world) {
  const int rank = world.rank();
  // Every rank makes the same splits in the same order. A group that is the whole world needs none
  // of its own, but that the two directions of a pipeline must not wait behind each other.
  const auto split = [&](Group group, int color) {
    owned_.push_back(world.split(color, rank));
    groups_[group] = owned_.back().get();
  };
  const auto axis = [&](Group group, Axis along) {
    if (mesh.size(along) != mesh.world()) split(group, mesh.group(rank, along));
  };
  axis(kDataGroup, Axis::kData);
  axis(kTensorGroup, Axis::kTensor);
  axis(kPipelineDown, Axis::kPipeline);
  groups_[kTieGroup] = nullptr;
  if (mesh.size(Axis::kPipeline) == 1) return;
  split(kPipelineUp, mesh.group(rank, Axis::kPipeline));
  split(kTieGroup, tied ? mesh.group(rank, Axis::kPipeline) : -1);
}

void MeshGroups::add_to(comm::GroupTransport& transport) const {
  for (int group = 0; group < kGroups; ++group)
    if (groups_[group] != nullptr) transport.add(group, *groups_[group]);
}

}  // namespace trireme::parallel
