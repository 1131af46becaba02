// The groups of ranks that programs name by number, and their communicators.
#pragma once

#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "comm/group_transport.h"
#include "parallel/mesh.h"

namespace trireme::parallel {

enum Group : int {
  kWorldGroup,    // all ranks: the control vector and the norm
  kDataGroup,     // ranks that hold the same parameters
  kTensorGroup,   // ranks that share layers
  kPipelineDown,  // the stages of one pipeline, numbered from its top: activations
  kPipelineUp,    // the same ranks: gradients
  kTieGroup,      // of those, the stages that hold a tied parameter
  kGroups
};

// This rank's communicators over the mesh; axes of size 1 have one that does nothing.
class MeshGroups {
 public:
  // Collective over `world`, whose ranks are the mesh's; `world` outlives this. `tied`: this rank
  // holds a parameter together with other stages.
  MeshGroups(comm::Communicator& world, const Mesh& mesh, bool tied = false);

  // Null where this rank is not in the group.
  comm::Communicator* at(Group group) const { return groups_[group]; }
  void add_to(comm::GroupTransport& transport) const;

 private:
  std::vector<std::unique_ptr<comm::Communicator>> owned_;
  std::vector<comm::Communicator*> groups_;
};

}  // namespace trireme::parallel
