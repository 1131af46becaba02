#include "core/sim/check_programs.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/base/error.h"
#include "core/sim/program_tasks.h"

namespace trireme::core {
namespace {

struct PlacedCall {
  ProgramCall call;
  ProgramPlace place;
};

bool is_message(CollectiveKind kind) {
  return kind == CollectiveKind::kSend || kind == CollectiveKind::kRecv;
}

// What a program asks of one group: its collectives in order, and its messages by direction and
// peer.
struct GroupCalls {
  std::vector<PlacedCall> collectives;
  std::map<std::pair<bool, int>, std::vector<PlacedCall>> messages;  // (send?, peer)
};
using ProgramCalls = std::vector<GroupCalls>;  // by group number

ProgramCalls calls_of(const Program& program) {
  ProgramCalls groups;
  for_each_call(program, [&](const ProgramCall& call, ProgramPlace place) {
    if (call.group >= static_cast<int>(groups.size())) groups.resize(call.group + 1);
    GroupCalls& group = groups[call.group];
    auto& calls = is_message(call.kind)
                      ? group.messages[{call.kind == CollectiveKind::kSend, call.peer}]
                      : group.collectives;
    calls.push_back({call, place});
  });
  return groups;
}

bool same(const ProgramCall& a, const ProgramCall& b) {
  return a.dtype == b.dtype && a.count == b.count &&
         (is_message(a.kind) || (a.kind == b.kind && a.op == b.op));
}

class Checker {
 public:
  explicit Checker(std::span<const RankProgram> ranks) : ranks_(ranks) {
    for (const RankProgram& rank : ranks)
      if (!calls_.contains(rank.program)) calls_.emplace(rank.program, calls_of(*rank.program));
  }

  void run() {
    for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) {
      const ProgramCalls& calls = calls_.at(ranks_[rank].program);
      for (int group = 0; group < static_cast<int>(calls.size()); ++group)
        check(rank, group, calls[group]);
    }
    check_progress();
  }

 private:
  static const std::vector<PlacedCall>& none() {
    static const std::vector<PlacedCall> empty;
    return empty;
  }

  const GroupCalls* look_up(int rank, int group) const {
    const ProgramCalls& calls = calls_.at(ranks_[rank].program);
    return group < static_cast<int>(calls.size()) ? &calls[group] : nullptr;
  }

  // The first member speaks for the collectives of its group; each sender, for its messages.
  void check(int rank, int group, const GroupCalls& calls) {
    if (calls.collectives.empty() && calls.messages.empty()) return;
    const auto number = static_cast<size_t>(group);
    if (number >= ranks_[rank].groups.size() || ranks_[rank].groups[number].ranks.empty())
      fail("[programs] rank {} calls group {}, of which it is no member", rank, group);
    const ProgramGroup& members = ranks_[rank].groups[number];
    const int first = members.ranks.front();
    const GroupCalls* expected = look_up(first, group);
    compare(first, expected ? expected->collectives : none(), rank, calls.collectives, members);
    for (int member : members.ranks)
      if (const GroupCalls* others = look_up(member, group); !others)
        compare(rank, calls.collectives, member, none(), members);
    for (const auto& [key, messages] : calls.messages) check_messages(rank, group, key, messages);
  }

  void check_messages(int rank, int group, std::pair<bool, int> key,
                      const std::vector<PlacedCall>& messages) {
    const ProgramGroup& members = ranks_[rank].groups[group];
    const auto [sends, peer] = key;
    if (peer < 0 || peer >= static_cast<int>(members.ranks.size()))
      fail("[programs] rank {} would {} member {} of group {} ({}), which has {}", rank,
           sends ? "send to" : "receive from", peer, group, members.name, members.ranks.size());
    const int other = members.ranks[peer];
    const auto self =
        static_cast<int>(std::ranges::find(members.ranks, rank) - members.ranks.begin());
    const GroupCalls* theirs = look_up(other, group);
    const std::vector<PlacedCall>* counterparts = &none();
    if (theirs)
      if (const auto found = theirs->messages.find({!sends, self}); found != theirs->messages.end())
        counterparts = &found->second;
    compare(rank, messages, other, *counterparts, members);
  }

  void compare(int a, const std::vector<PlacedCall>& first, int b,
               const std::vector<PlacedCall>& second, const ProgramGroup& group) const {
    if (&first == &second) return;
    const size_t both = std::min(first.size(), second.size());
    for (size_t i = 0; i < std::max(first.size(), second.size()); ++i)
      if (i >= both || !same(first[i].call, second[i].call))
        fail("[programs] call {} in the {} group: rank {} has {}, where rank {} has {}", i,
             group.name, a, text(a, first, i), b, text(b, second, i));
  }

  std::string text(int rank, const std::vector<PlacedCall>& calls, size_t i) const {
    if (i >= calls.size()) return "nothing";
    const ProgramCall& call = calls[i].call;
    return fmt::format("{} x {} ({})", call.count, name_of(call.dtype),
                       describe(*ranks_[rank].program, calls[i].place));
  }

  int sim_group(const std::vector<int>& members, int number) {
    const auto [found, fresh] =
        groups_.try_emplace({number, members}, static_cast<int>(world_.groups.size()));
    if (fresh) world_.groups.push_back(members);
    return found->second;
  }

  void check_progress() {
    std::vector<std::vector<ProgramPlace>> places;
    for (const RankProgram& rank : ranks_) {
      std::vector<GroupView> views;
      for (size_t g = 0; g < rank.groups.size(); ++g) {
        const std::vector<int>& members = rank.groups[g].ranks;
        views.push_back({.group = sim_group(members, static_cast<int>(g)),
                         .shape = {},
                         .ranks = members,
                         .nodes = {}});
      }
      ProgramTasks tasks = tasks_of(*rank.program, views);
      world_.ranks.push_back(std::move(tasks.tasks));
      places.push_back(std::move(tasks.places));
    }
    const SimResult result = simulate(world_);
    if (result.deadlock) report(*result.deadlock, places);
  }

  [[noreturn]] void report(const SimDeadlock& deadlock,
                           const std::vector<std::vector<ProgramPlace>>& places) const {
    std::string chain;
    for (const auto& [rank, task] : deadlock.chain) {
      if (world_.ranks[rank][task].kind == SimTask::Kind::kCompute) continue;  // waits for the next
      chain += fmt::format("{}rank {} in {}", chain.empty() ? "" : " waits for ", rank,
                           describe(*ranks_[rank].program, places[rank][task]));
    }
    const std::string end =
        deadlock.absent_rank >= 0
            ? fmt::format("rank {}, which never makes that call", deadlock.absent_rank)
            : "the first of these";
    fail("[programs] would hang: {} waits for {}", chain, end);
  }

  std::span<const RankProgram> ranks_;
  std::map<const Program*, ProgramCalls> calls_;
  SimWorld world_;
  std::map<std::pair<int, std::vector<int>>, int> groups_;
};

}  // namespace

void check_programs(std::span<const RankProgram> ranks) { Checker(ranks).run(); }

}  // namespace trireme::core
