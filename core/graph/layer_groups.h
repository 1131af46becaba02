// Layers of a network without blocks, in groups that serve as its blocks.
#pragma once

#include "core/graph/graph.h"

namespace trireme::core {

// Gives the forward nodes of each chunk blocks, named after their first layer, such that what lies
// between the blocks and the inside of the largest one take the fewest bytes together: what
// remains if all of them are computed again. Sets none where that is no less than to keep all.
//
// Source: Chen et al., Training Deep Nets with Sublinear Memory Cost (2016), section 4.1: a chain
// of n equal layers falls into about sqrt(n) groups.
void group_layers(Graph& graph);

}  // namespace trireme::core
