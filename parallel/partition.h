// The network cut into chunks of consecutive nodes for a pipeline.
//
// By cost: an estimate of forward and backward from Op::cost, so that the costliest chunk is as
// cheap as can be, preferring borders of blocks and places where little crosses; or at given names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace trireme::parallel {

struct PartitionOptions {
  int stages = 1;
  int virtual_stages = 1;  // chunks of a stage
  std::vector<std::string>
      ends;                  // the last layer or block of each chunk but the last; none: by cost
  std::vector<int> stashes;  // micro-batches in flight, by chunk; none: 1 each
  double copies = 4;  // of a parameter that a rank holds: its gradient, moments, itself, or parts
  // Bytes of parameters, their copies and stashes of one stage, an estimate; 0: none. Kept if some
  // cut keeps it, else come as near to as can be: what fits is for the plan's own bytes to say.
  int64_t memory_limit = 0;
  // Whether blocks are computed again: never, only if the limit cannot be kept otherwise, or all.
  enum class Recompute : uint8_t { kNone, kIfNeeded, kAll } recompute = Recompute::kNone;

  int chunks() const { return stages * virtual_stages; }
};

struct ChunkReport {
  std::string first, last;  // layers
  int layers = 0;
  int64_t parameters = 0;  // elements
  double cost = 0;         // share of the whole
  int64_t sent_bytes = 0;  // to the next chunk, in one micro-batch
  int64_t memory_bytes = 0;
};

struct Partition {
  std::vector<int> chunk_of;  // by node of the forward graph
  std::vector<ChunkReport> chunks;
  std::string explain(const PartitionOptions& options) const;
};

// Throws InvalidArgument, with the nearest values or names that fit: too few layers for the chunks,
// names that are not the network's or not in its order.
Partition partition(const core::Graph& forward, const PartitionOptions& options);

void set_chunks(core::Graph& forward, const Partition& partition);
// The same cut of another graph of the network: nodes are told by their names.
void copy_chunks(const core::Graph& from, core::Graph& to);

}  // namespace trireme::parallel
