// Who is in which group of a mesh, as numbers: what MeshGroups makes communicators of.
#pragma once

#include <string_view>
#include <vector>

#include "parallel/groups.h"
#include "parallel/mesh.h"

namespace trireme::parallel {

std::string_view name_of(Group group);  // "data"

// The ranks of `rank`'s group, in its order; empty if it is in none. `tied_stages` as in
// MeshGroups.
std::vector<int> group_members(const Mesh& mesh, Group group, int rank,
                               const std::vector<int>& tied_stages = {});

}  // namespace trireme::parallel
