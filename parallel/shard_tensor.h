// Tensor parallelism: from a graph built as if there were one device to what one rank of the tensor
// axis runs.
//
// Each op names the ways in which it may be cut (Op::shardings), each parameter the dimension along
// which it may be (SplitHint). Nodes are taken in order; of an op's ways the one that moves the
// fewest bytes is chosen, given how its inputs lie; a collective is put where an input lies
// otherwise. Collectives are nodes whose gradients are the conjugate collectives
// (core/ops/exchange.h), so `differentiate` makes backward from the result as it does from any
// graph.
//
//   column then row   x -> [share] -> linear (rows of W) -> act -> linear (columns of W)
//                       -> [all_reduce] -> norm
//   by rows           ... -> [reduce_scatter] -> norm -> [all_gather] -> linear ...
//
// Source: Shoeybi et al., Megatron-LM (2019), section 3; Korthikanti et al., Reducing Activation
// Recomputation in Large Transformer Models (2022), section 4.2, of which ours differs in that
// (sample, position) rows are cut, not positions: blocks are contiguous at any batch.
#pragma once

#include "core/graph/graph.h"

namespace trireme::parallel {

struct TensorOptions {
  core::TensorPlace place;
  bool sequence = false;  // cut what lies between two cut blocks by rows
};

// The graph of rank `place.rank`. Values keep their names; collectives are named after the value
// that they move. Each parameter is a slice of that in `forward` (Value::slice); a bias that is
// added to a partial sum, and a position table beside a cut vocabulary, is held by rank 0 alone. A
// parameter that ranks use for rows of their own has Value::partial_gradient.
//
// With one rank it is a copy of `forward`. Throws InvalidArgument, with the nearest values that
// fit, if the axis does not divide what is to be cut; a vocabulary need not divide.
core::Graph shard_tensor(const core::Graph& forward, const TensorOptions& options);

}  // namespace trireme::parallel
