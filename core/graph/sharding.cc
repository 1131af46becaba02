#include "core/graph/sharding.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::core {

Sharding Sharding::split(const Shape& shape, int dim, std::vector<int64_t> parts) {
  if (dim < 0) dim += shape.rank();
  if (parts.empty()) parts = {shape[dim]};
  return {.kind = Kind::kSplit, .dim = static_cast<int8_t>(dim), .parts = std::move(parts)};
}

Sharding Sharding::split(const Shape& shape, const SplitHint& hint) {
  return hint.dim < 0 ? whole() : split(shape, hint.dim, hint.parts);
}

std::string Sharding::str() const {
  switch (kind) {
    case Kind::kWhole:
      return "whole";
    case Kind::kShared:
      return "shared";
    case Kind::kPartial:
      return "a partial sum";
    case Kind::kRows:
      return "cut by rows";
    case Kind::kSplit:
      return fmt::format("split in dimension {}", dim);
  }
  return "?";
}

PartRanges part_ranges(std::span<const int64_t> parts, int size, int rank) {
  PartRanges ranges;
  int64_t offset = 0;
  for (int64_t extent : parts) {
    const int64_t share = extent / size, larger = extent % size;
    const int64_t begin = offset + rank * share + std::min<int64_t>(rank, larger);
    ranges.emplace_back(begin, begin + share + (rank < larger ? 1 : 0));
    offset += extent;
  }
  return ranges;
}

int64_t extent_of(const PartRanges& ranges) {
  int64_t extent = 0;
  for (const auto& [begin, end] : ranges) extent += end - begin;
  return extent;
}

std::string nearest_that_divide(int64_t count, int size, std::string_view what) {
  int64_t fewer = std::min<int64_t>(size, count), more = fewer;
  while (fewer > 1 && count % fewer != 0) --fewer;
  while (more < count && count % more != 0) ++more;
  const int64_t below = count / size * size, above = below + size;
  return fmt::format("{}{} ranks, or {}{} {}", fewer,
                     more != fewer ? fmt::format(" or {}", more) : "",
                     below > 0 ? fmt::format("{} or ", below) : "", above, what);
}

ValueType local_type(const ValueType& type, const Sharding& sharding, int size, int rank) {
  if (sharding.kind == Sharding::Kind::kRows) {
    const int64_t width = type.shape[-1];
    return {Shape{type.shape.elements() / width / size, width}, type.dtype};
  }
  if (!sharding.is_split()) return type;
  const int64_t extent = extent_of(part_ranges(sharding.parts, size, rank));
  return {type.shape.with_dim(sharding.dim, extent), type.dtype};
}

ShardingRule whole_rule(const ShardingRequest& request) {
  return {std::vector<Sharding>(request.inputs.size()),
          std::vector<Sharding>(request.outputs.size())};
}

std::vector<ShardingRule> elementwise_shardings(const ShardingRequest& request, bool linear) {
  std::vector<Sharding> candidates{Sharding::rows(), Sharding::whole()};
  if (linear) candidates.push_back(Sharding::partial());
  for (const Sharding& sharding : request.shardings)
    if (sharding.is_split() && std::ranges::find(candidates, sharding) == candidates.end())
      candidates.push_back(sharding);
  std::vector<ShardingRule> rules;
  for (const Sharding& sharding : candidates)
    rules.push_back({std::vector<Sharding>(request.inputs.size(), sharding),
                     std::vector<Sharding>(request.outputs.size(), sharding)});
  return rules;
}

}  // namespace trireme::core
