#include "parallel/group_members.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace trireme::parallel {
namespace {

std::vector<int> along(const Mesh& mesh, Axis axis, int rank) {
  int stride = 1;
  for (int before = 0; before < static_cast<int>(axis); ++before)
    stride *= mesh.size(static_cast<Axis>(before));
  const int first = rank - mesh.coordinate(rank, axis) * stride;
  std::vector<int> ranks;
  for (int i = 0; i < mesh.size(axis); ++i) ranks.push_back(first + i * stride);
  return ranks;
}

}  // namespace

std::string_view name_of(Group group) {
  constexpr std::array<std::string_view, kGroups> names{"world",         "data",        "tensor",
                                                        "pipeline down", "pipeline up", "tied"};
  return names[group];
}

std::vector<int> group_members(const Mesh& mesh, Group group, int rank,
                               const std::vector<int>& tied_stages) {
  switch (group) {
    case kDataGroup:
      return along(mesh, Axis::kData, rank);
    case kTensorGroup:
      return along(mesh, Axis::kTensor, rank);
    case kPipelineDown:
    case kPipelineUp:
      return along(mesh, Axis::kPipeline, rank);
    case kTieGroup: {
      const auto tied = [&](int member) {
        const int stage = mesh.coordinate(member, Axis::kPipeline);
        return std::ranges::find(tied_stages, stage) != tied_stages.end();
      };
      std::vector<int> ranks = along(mesh, Axis::kPipeline, rank);
      if (tied_stages.size() < 2 || !tied(rank)) return {};
      std::erase_if(ranks, [&](int member) { return !tied(member); });
      return ranks;
    }
    case kWorldGroup:
    case kGroups:
      break;
  }
  std::vector<int> ranks(mesh.world());
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

}  // namespace trireme::parallel
