#include "comm/control/hang_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::comm::control {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMostGroups = 6;  // of ranks that wait in different places; more are counted

using Views = std::vector<RankView>;

bool past(milliseconds time, milliseconds deadline) {
  return deadline > milliseconds::zero() && time > deadline;
}

bool is_late(const RankView& rank, const Deadlines& deadlines) {
  return past(std::max(rank.still, rank.silent), deadlines.of(rank.status.phase));
}

// A heartbeat or two may be late for reasons of their own.
bool is_silent(const RankView& rank, milliseconds shortest, milliseconds silence) {
  return rank.silent > silence && past(rank.silent, shortest / 2);
}

template <typename Predicate>
Views those(const Views& ranks, Predicate predicate) {
  Views found;
  std::ranges::copy_if(ranks, std::back_inserter(found), predicate);
  return found;
}

// Ranks at one place, in the order of their first.
struct Group {
  std::string where;
  std::vector<int> ranks;
};

std::vector<Group> group(const Views& ranks) {
  std::vector<Group> groups;
  for (const RankView& rank : ranks) {
    const std::string where = place_of(rank.status);
    auto found = std::ranges::find(groups, where, &Group::where);
    if (found == groups.end()) found = groups.insert(found, {where, {}});
    found->ranks.push_back(rank.rank);
  }
  return groups;
}

// "ranks 0 and 1 wait in A; rank 3 waits in B"
std::string waiting(const Views& ranks) {
  std::string text;
  std::vector<Group> groups = group(ranks);
  size_t unnamed = 0;
  for (; groups.size() > kMostGroups; groups.pop_back()) unnamed += groups.back().ranks.size();
  for (const Group& one : groups)
    text += fmt::format("{}{} {} in {}", text.empty() ? "" : "; ", in_words(one.ranks),
                        one.ranks.size() == 1 ? "waits" : "wait", one.where);
  if (unnamed > 0)
    text += fmt::format("; {} more rank{} elsewhere", unnamed, unnamed == 1 ? "" : "s");
  return text;
}

// What the culprits, who share one fate (silent or still), are doing.
std::string accused(const Views& culprits, const Roster& roster, bool silent) {
  milliseconds shortest = milliseconds::max();
  for (const RankView& rank : culprits)
    shortest = std::min(shortest, silent ? rank.silent : rank.still);
  std::string text;
  for (const Group& one : group(culprits)) {
    const bool single = one.ranks.size() == 1;
    text += fmt::format("{}{} {} not {} for {}: {} {} in {}", text.empty() ? "" : "; ",
                        single ? roster.describe(one.ranks.front())
                               : fmt::format("{} of {}", in_words(one.ranks), roster.size()),
                        single ? "has" : "have", silent ? "been heard" : "moved",
                        in_words(shortest), single ? "it" : "they",
                        silent ? (single ? "was" : "were") : (single ? "is" : "are"), one.where);
  }
  return text;
}

HangReport nobody_behind(const Views& ranks) {
  const RankView& last = *std::ranges::min_element(ranks, {}, &RankView::still);
  return {{},
          fmt::format("hang: no rank is behind, and none has moved for {}: {}",
                      in_words(last.still), waiting(ranks))};
}

HangReport accuse(const Views& ranks, const Views& culprits, const Roster& roster, bool silent) {
  HangReport report;
  for (const RankView& rank : culprits) report.culprits.push_back(rank.rank);
  report.line = "hang: " + accused(culprits, roster, silent);
  const Views others = those(ranks, [&](const RankView& rank) {
    return std::ranges::find(report.culprits, rank.rank) == report.culprits.end();
  });
  if (!others.empty()) report.line += "; " + waiting(others);
  return report;
}

}  // namespace

std::string in_words(milliseconds time) {
  const auto seconds = std::chrono::duration<double>(time).count();
  return seconds < 9.95 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string place_of(const Status& status) {
  if (!status.where.empty()) return status.where;
  return fmt::format("phase '{}'", name_of(status.phase));
}

std::optional<milliseconds> shortest_late(std::span<const RankView> ranks,
                                          const Deadlines& deadlines) {
  std::optional<milliseconds> shortest;
  for (const RankView& rank : ranks) {
    if (rank.left || !is_late(rank, deadlines)) continue;
    const milliseconds deadline = deadlines.of(rank.status.phase);
    shortest = std::min(shortest.value_or(deadline), deadline);
  }
  return shortest;
}

std::optional<HangReport> find_hang(std::span<const RankView> all, const Roster& roster,
                                    const Deadlines& deadlines, milliseconds silence) {
  const auto late = [&](const RankView& rank) { return is_late(rank, deadlines); };
  const Views ranks =
      those({all.begin(), all.end()}, [](const RankView& rank) { return !rank.left; });
  const std::optional<milliseconds> shortest = shortest_late(ranks, deadlines);
  if (!shortest) return std::nullopt;

  const Views silent =
      those(ranks, [&](const RankView& rank) { return is_silent(rank, *shortest, silence); });
  if (!silent.empty()) return accuse(ranks, silent, roster, true);

  const auto least =
      std::ranges::min(ranks, {}, [](const RankView& rank) { return rank.status.progress(); });
  const Views behind = those(ranks, [&](const RankView& rank) {
    return rank.status.progress() == least.status.progress();
  });
  if (std::ranges::none_of(behind, late)) return std::nullopt;
  if (behind.size() == ranks.size() && ranks.size() > 1) return nobody_behind(ranks);
  return accuse(ranks, behind, roster, false);
}

}  // namespace trireme::comm::control
