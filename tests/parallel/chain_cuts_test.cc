#include "parallel/chain_cuts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace trireme::parallel {
namespace {

// What a choice of cuts amounts to.
struct Judged {
  double costliest = 0;
  int64_t largest = 0;  // bytes
  int inside_blocks = 0;
  int64_t bytes = 0;
};

Judged judge(const Chain& chain, const CutRules& rules, const std::vector<int>& cuts) {
  Judged judged;
  for (size_t chunk = 0; chunk <= cuts.size(); ++chunk) {
    const CutPoint* from = chunk == 0 ? nullptr : &chain.cuts[cuts[chunk - 1]];
    const CutPoint* to = chunk == cuts.size() ? nullptr : &chain.cuts[cuts[chunk]];
    const size_t begin = from == nullptr ? 0 : from->position;
    const size_t end = to == nullptr ? chain.cost.size() : to->position;
    double cost = (from == nullptr ? 0 : from->cost) + (to == nullptr ? 0 : to->cost);
    int64_t bytes = 0;
    for (size_t node = begin; node < end; ++node) {
      cost += chain.cost[node];
      bytes += chain.fixed_bytes[node] + rules.stashes[chunk] * chain.stash_bytes[node];
    }
    judged.costliest = std::max(judged.costliest, cost);
    judged.largest = std::max(judged.largest, bytes);
    if (to == nullptr) continue;
    judged.inside_blocks += to->border ? 0 : 1;
    judged.bytes += to->bytes;
  }
  return judged;
}

// Every choice of `count` cuts that keeps within the memory.
std::vector<Judged> all_choices(const Chain& chain, const CutRules& rules) {
  std::vector<Judged> found;
  std::vector<bool> chosen(chain.cuts.size(), false);
  std::fill_n(chosen.begin(), rules.chunks - 1, true);
  do {
    std::vector<int> cuts;
    for (size_t i = 0; i < chosen.size(); ++i)
      if (chosen[i]) cuts.push_back(static_cast<int>(i));
    const Judged judged = judge(chain, rules, cuts);
    if (rules.memory_limit == 0 || judged.largest <= rules.memory_limit) found.push_back(judged);
  } while (std::prev_permutation(chosen.begin(), chosen.end()));
  return found;
}

// Costs are whole numbers, so that sums are exact in any order.
Chain random_chain(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % n); };
  Chain chain;
  const int nodes = 4 + below(9);
  for (int node = 0; node < nodes; ++node) {
    chain.cost.push_back(1 + below(40));
    chain.fixed_bytes.push_back(below(30));
    chain.stash_bytes.push_back(below(10));
    if (node > 0 && below(5) > 0)
      chain.cuts.push_back({.position = node,
                            .bytes = 1 + below(8),
                            .cost = static_cast<double>(below(4)),
                            .border = below(2) == 0});
  }
  return chain;
}

TEST(ChainCuts, AreThoseOfBruteForceOnRandomChains) {
  std::mt19937 random(11);
  int refused = 0, within_slack = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const Chain chain = random_chain(random);
    CutRules rules{.chunks = 1 + static_cast<int>(random() % (chain.cuts.size() + 1))};
    for (int chunk = 0; chunk < rules.chunks; ++chunk)
      rules.stashes.push_back(rules.chunks - chunk);
    if (trial % 2 == 1) rules.memory_limit = 60 + static_cast<int64_t>(random() % 200);
    const std::vector<Judged> all = all_choices(chain, rules);
    const CutChoice choice = best_cuts(chain, rules);
    ASSERT_EQ(choice.feasible, !all.empty()) << trial;
    if (all.empty()) {
      ++refused;
      continue;
    }
    const Judged got = judge(chain, rules, choice.cuts);
    double bottleneck = std::numeric_limits<double>::infinity();
    for (const Judged& other : all) bottleneck = std::min(bottleneck, other.costliest);
    const double limit = bottleneck * (1 + CutRules::kSlack);
    ASSERT_EQ(choice.cuts.size(), rules.chunks - 1) << trial;
    ASSERT_LE(got.costliest, limit) << trial;
    within_slack += got.costliest > bottleneck ? 1 : 0;
    for (const Judged& other : all) {
      if (other.costliest > limit) continue;
      ASSERT_LE(std::pair(got.inside_blocks, got.bytes),
                std::pair(other.inside_blocks, other.bytes))
          << trial;
    }
  }
  EXPECT_GT(refused, 5);
  EXPECT_GT(within_slack, 5);
}

}  // namespace
}  // namespace trireme::parallel
