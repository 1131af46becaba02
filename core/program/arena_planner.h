// Offsets in one arena for values whose lives are known: the arena is as small as it can be made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme::core {

// A block of `bytes` that is in use from time `begin` to time `end`, both included.
struct LiveRange {
  int64_t bytes = 0;
  int begin = 0, end = 0;
};

struct ArenaPlan {
  std::vector<int64_t> offsets;  // of each range, in its order; multiples of the alignment
  int64_t bytes = 0;             // of the arena: max over ranges of offset + bytes
};

// Blocks that are in use at one time never overlap. The size is minimal for up to eight ranges
// (every order is tried); beyond that several orders of first fit are tried and the best is kept.
// Every optimal packing is first fit in the order of its offsets, so trying orders is enough.
ArenaPlan plan_arena(std::span<const LiveRange> ranges, int64_t alignment = 256);

// The most bytes in use at any one time: no plan can be smaller.
int64_t peak_live_bytes(std::span<const LiveRange> ranges, int64_t alignment = 256);

}  // namespace trireme::core
