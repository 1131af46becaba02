#include "core/program/shard_map.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::core {

ShardMap::ShardMap(const FlatLayout& layout, int degree, int rank) {
  for (const Bucket& bucket : layout.buckets) {
    const int64_t length = (bucket.end - bucket.begin) / degree;
    ensure(length * degree == bucket.end - bucket.begin, "a bucket is cut into equal slices");
    const int64_t begin = bucket.begin + rank * length;
    slices_.push_back({begin, begin + length});
    compact_begins_.push_back(elements_);
    elements_ += length;
  }
}

std::vector<ShardMap::Piece> ShardMap::pieces(ElementRange range) const {
  std::vector<Piece> found;
  for (size_t i = 0; i < slices_.size(); ++i) {
    const ElementRange piece{std::max(range.begin, slices_[i].begin),
                             std::min(range.end, slices_[i].end)};
    if (piece.begin < piece.end) found.push_back({piece, compact_begins_[i] - slices_[i].begin});
  }
  return found;
}

}  // namespace trireme::core
