// `trireme checkpoint reshard`: the same content in the shards that another layout would write.
#pragma once

#include <filesystem>

#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/plan.h"

namespace trireme::launcher {

// What ranks of `layout` hold of tensors of which nothing is known but names and shapes; ranks are
// numbered as the mesh does (parallel/mesh.h).
//   pipeline  tensors of one name are in one stage; stages are runs of names, as equal in bytes as
//             whole tensors allow
//   tensor    a tensor of two or more axes is cut along its first into ranges that differ by one
//             at most, if it is that long; others are held whole
//   data      each holds all of it; ZeRO 1 and 2: a run of the moments' elements, ZeRO 3: of all
// A run cuts where its job says instead; since any layout reads what any wrote, that is no matter.
Holdings holdings_of(const std::vector<TensorSpec>& tensors, const WriterLayout& layout);

// Makes `out` (stream.h), which must not be there yet: the tensors, counters and facts of
// `checkpoint`, so that `checkpoint diff` finds nothing.
Manifest reshard(CheckpointReader& checkpoint, const WriterLayout& layout,
                 const std::filesystem::path& out);

}  // namespace trireme::launcher
