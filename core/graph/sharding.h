// How a value lies over the ranks of the tensor axis.
//
// Models build a graph as if there were one device and name, for each weight, the dimension along
// which it may be cut (SplitHint). Ops name the shardings that they accept (Op::shardings) and
// what they become on one rank (Op::local, Op::emit_local). parallel/shard_tensor.h chooses among
// them and puts a collective wherever two shardings differ.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/shape.h"

namespace trireme::core {

// A place on the tensor axis.
struct TensorPlace {
  int size = 1;
  int rank = 0;
  int group = 0;  // the number under which programs name its ranks
};

// The dimension along which a parameter may be cut.
struct SplitHint {
  int dim = -1;                     // -1: never cut
  std::vector<int64_t> parts = {};  // extents of fused pieces, each cut on its own; empty: one
  bool unequal = false;             // ranks may hold unequal shares (a vocabulary)
  bool operator==(const SplitHint&) const = default;
};

// One value, seen from all ranks together. What its gradient is follows from it.
struct Sharding {
  enum class Kind : uint8_t {
    kWhole,    // every rank holds all of it, and all of its gradient
    kShared,   // every rank holds all of it but uses it for its own part of the work: what a rank
               // knows of the gradient is a partial sum
    kPartial,  // the sum over the ranks is the value; the gradient is whole. A parameter is held
               // by rank 0 alone
    kRows,     // all dimensions but the last are one row number; rows are cut into equal blocks.
               // The local shape is (rows / size, last). The gradient is cut alike
    kSplit,    // dimension `dim` is cut, piece by piece; the gradient is cut alike
  };
  Kind kind = Kind::kWhole;
  int8_t dim = -1;                  // of kSplit, never negative there
  std::vector<int64_t> parts = {};  // of kSplit; never empty there: {extent} for one piece
  bool operator==(const Sharding&) const = default;

  static Sharding whole() { return {}; }
  static Sharding shared() { return {.kind = Kind::kShared}; }
  static Sharding partial() { return {.kind = Kind::kPartial}; }
  static Sharding rows() { return {.kind = Kind::kRows}; }
  // Negative dims count from the end; no parts: one piece.
  static Sharding split(const Shape& shape, int dim, std::vector<int64_t> parts = {});
  // As the hint of a parameter of this shape says; kWhole if it is never cut.
  static Sharding split(const Shape& shape, const SplitHint& hint);

  bool is_split() const { return kind == Kind::kSplit; }
  std::string str() const;  // "whole", "split in dimension 2"
};

// Ranges [begin, end) of the cut dimension that one rank holds, one behind the other: one a part.
// Shares of a part differ by at most one, the first ranks have the larger ones.
using PartRanges = std::vector<std::pair<int64_t, int64_t>>;
PartRanges part_ranges(std::span<const int64_t> parts, int size, int rank);
int64_t extent_of(const PartRanges& ranges);

// "2 or 4 ranks, or 6 or 9 heads" where 3 ranks do not divide 8 `what`.
std::string nearest_that_divide(int64_t count, int size, std::string_view what);

// What rank `rank` of `size` holds of a value of this type.
ValueType local_type(const ValueType& type, const Sharding& sharding, int size, int rank);

// One way to run an op over the ranks. Outputs that nobody but the op's own backward reads may
// have any sharding.
struct ShardingRule {
  std::vector<Sharding> inputs, outputs;
};

// What an op is asked with: all of it before the cut.
struct ShardingRequest {
  std::span<const ValueType> inputs, outputs;
  std::span<const SplitHint> hints;     // of the inputs that are parameters
  std::span<const Sharding> shardings;  // that the inputs have now; a collective may change them
};

// Every input and output has the same sharding: whole, by rows, or as one of the inputs is split.
// All inputs are of one shape. With `linear`, partial sums pass through as well.
std::vector<ShardingRule> elementwise_shardings(const ShardingRequest& request,
                                                bool linear = false);
// Nothing is cut.
ShardingRule whole_rule(const ShardingRequest& request);

}  // namespace trireme::core
