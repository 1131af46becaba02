#include "parallel/chain_cuts.h"

#include <algorithm>
#include <compare>
#include <limits>
#include <numeric>

namespace trireme::parallel {
namespace {

int begin_of(const CutPoint* cut) { return cut == nullptr ? 0 : cut->position; }
int end_of(const Chain& chain, const CutPoint* cut) {
  return cut == nullptr ? static_cast<int>(chain.cost.size()) : cut->position;
}

// What a choice is judged by once its costliest chunk is cheap enough.
struct Places {
  int inside_blocks = std::numeric_limits<int>::max();
  int64_t bytes = 0;
  auto operator<=>(const Places&) const = default;
};

// Nodes of the recursion: 0 is the chain's start, k its (k - 1)th cut point, the last its end.
class CutSearch {
 public:
  CutSearch(const Chain& chain, const CutRules& rules)
      : chain_(chain), rules_(rules), points_(static_cast<int>(chain.cuts.size()) + 2) {
    sum(chain.cost, cost_);
    sum(chain.fixed_bytes, fixed_);
    sum(chain.stash_bytes, stash_);
  }

  CutChoice run() {
    const double best = bottleneck();
    if (best == kNever) return {};
    return {.feasible = true, .cuts = best_places(best * (1 + CutRules::kSlack))};
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  template <typename T>
  static void sum(const std::vector<T>& values, std::vector<T>& sums) {
    sums.assign(values.size() + 1, T{});
    std::partial_sum(values.begin(), values.end(), sums.begin() + 1);
  }

  const CutPoint* cut(int point) const {
    return point == 0 || point == points_ - 1 ? nullptr : &chain_.cuts[point - 1];
  }

  // Of the nodes between two points, as chunk number `chunk`; kNever beyond the memory limit.
  double cost(int from, int to, int chunk) const {
    const int begin = begin_of(cut(from)), end = end_of(chain_, cut(to));
    const int stashes = rules_.stashes.empty() ? 1 : rules_.stashes[chunk];
    const int64_t bytes = fixed_[end] - fixed_[begin] + stashes * (stash_[end] - stash_[begin]);
    if (rules_.memory_limit > 0 && bytes > rules_.memory_limit) return kNever;
    double total = cost_[end] - cost_[begin];
    for (const CutPoint* side : {cut(from), cut(to)})
      if (side != nullptr) total += side->cost;
    return total;
  }

  // Of the nodes alone: grows with the distance of the points.
  double nodes_cost(int from, int to) const {
    return cost_[end_of(chain_, cut(to))] - cost_[begin_of(cut(from))];
  }

  // Calls relax(chunk, from, to) for every chunk that could lie between two points, for each `to`
  // from near to far, until it returns false: the chunk is too long.
  template <typename Relax>
  void for_each_chunk(const Relax& relax) const {
    for (int chunk = 0; chunk < rules_.chunks; ++chunk) {
      const bool last = chunk == rules_.chunks - 1;
      for (int to = last ? points_ - 1 : chunk + 1; to < points_ - (last ? 0 : 1); ++to)
        for (int from = chunk == 0 ? 0 : to - 1; from >= chunk; --from)
          if (!relax(chunk, from, to)) break;
    }
  }

  double bottleneck() const {
    std::vector<std::vector<double>> best(rules_.chunks + 1, std::vector<double>(points_, kNever));
    best[0][0] = 0;
    for_each_chunk([&](int chunk, int from, int to) {
      double& here = best[chunk + 1][to];
      if (nodes_cost(from, to) >= here) return false;
      if (best[chunk][from] < here)
        here = std::min(here, std::max(best[chunk][from], cost(from, to, chunk)));
      return true;
    });
    return best[rules_.chunks][points_ - 1];
  }

  std::vector<int> best_places(double limit) const {
    std::vector<std::vector<Places>> best(rules_.chunks + 1, std::vector<Places>(points_));
    std::vector<std::vector<int>> back(rules_.chunks + 1, std::vector<int>(points_, -1));
    best[0][0] = {0, 0};
    for_each_chunk([&](int chunk, int from, int to) {
      if (nodes_cost(from, to) > limit) return false;
      Places places = best[chunk][from];
      if (places == Places{} || cost(from, to, chunk) > limit) return true;
      if (const CutPoint* at = cut(to)) {
        places.inside_blocks += at->border ? 0 : 1;
        places.bytes += at->bytes;
      }
      if (places > best[chunk + 1][to]) return true;
      best[chunk + 1][to] = places;  // of equals the longest chunk
      back[chunk + 1][to] = from;
      return true;
    });
    std::vector<int> cuts;
    for (int chunk = rules_.chunks, at = points_ - 1; chunk > 1; --chunk)
      cuts.push_back((at = back[chunk][at]) - 1);
    std::ranges::reverse(cuts);
    return cuts;
  }

  const Chain& chain_;
  const CutRules& rules_;
  int points_;
  std::vector<double> cost_;  // of the nodes before a position
  std::vector<int64_t> fixed_, stash_;
};

}  // namespace

CutChoice best_cuts(const Chain& chain, const CutRules& rules) {
  return CutSearch(chain, rules).run();
}

}  // namespace trireme::parallel
