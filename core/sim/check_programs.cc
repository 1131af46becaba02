#include "core/sim/check_programs.h"

#include <xxhash.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/error.h"
#include "core/sim/program_tasks.h"

namespace trireme::core {
namespace {

// What two ranks must have alike: a group's collectives, or the messages of one pair.
struct Topic {
  int group = 0;
  enum Kind : uint8_t { kCollectives, kSends, kReceives } kind = kCollectives;
  int peer = 0;  // of messages
  auto operator<=>(const Topic&) const = default;
};

Topic topic_of(const ScriptCall& call) {
  if (!call.is_message()) return {call.group, Topic::kCollectives, 0};
  const bool sends = call.kind == CollectiveKind::kSend;
  return {call.group, sends ? Topic::kSends : Topic::kReceives, call.peer};
}

// Equal for the two ends of a message, and for the same collective on all ranks.
uint64_t hash_of(const ScriptCall& call) {
  const int64_t fields[] = {call.is_message() ? -1 : static_cast<int>(call.kind),
                            static_cast<int>(call.op), static_cast<int>(call.dtype), call.count};
  return XXH64(call.what.data(), call.what.size(), XXH64(fields, sizeof fields, 0));
}

uint64_t chain(uint64_t before, uint64_t next) { return XXH64(&next, sizeof next, before); }

// One script's topics, each as a hash of all its calls.
using Topics = std::map<Topic, uint64_t>;

Topics topics_of(const CallScript& script) {
  std::vector<uint64_t> hashes;
  std::vector<uint64_t*> totals;
  Topics topics;
  for (const ScriptCall& call : script.calls) {
    hashes.push_back(hash_of(call));
    totals.push_back(&topics[topic_of(call)]);
  }
  const ScriptCall* const first = script.calls.data();
  for_each_call(script, [&](const ScriptCall& call, ProgramPlace) {
    const auto number = &call - first;
    *totals[number] = chain(*totals[number], hashes[number]);
  });
  // A call that no run comes to is none.
  std::erase_if(topics, [](const auto& topic) { return topic.second == 0; });
  return topics;
}

struct PlacedCall {
  uint64_t hash = 0;
  std::string text;
};

std::vector<PlacedCall> calls_of(const CallScript& script, const Topic& topic) {
  std::vector<PlacedCall> calls;
  for_each_call(script, [&](const ScriptCall& call, ProgramPlace place) {
    if (topic_of(call) == topic)
      calls.push_back({hash_of(call),
                       fmt::format("{} (in {})", describe(call), describe(script, place.entry))});
  });
  return calls;
}

class Matcher {
 public:
  explicit Matcher(const CheckedWorld& world) : world_(world) {
    for (const CallScript* script : world.scripts)
      if (!topics_.contains(script)) topics_.emplace(script, topics_of(*script));
  }

  void run() {
    for (int rank = 0; rank < std::ssize(world_.scripts); ++rank) check_membership(rank);
    for (const CheckedWorld::Group& group : world_.members) {
      const Topic collectives{group.number, Topic::kCollectives, 0};
      for (int member : group.ranks)
        compare(group, group.ranks.front(), collectives, member, collectives);
      for (int member = 0; member < std::ssize(group.ranks); ++member)
        check_messages(group, member);
    }
  }

 private:
  void check_membership(int rank) const {
    for (const auto& [topic, hash] : topics_.at(world_.scripts[rank])) {
      const auto number = static_cast<size_t>(topic.group);
      const int at = number < world_.groups[rank].size() ? world_.groups[rank][number] : -1;
      if (at < 0)
        fail("[programs] rank {} calls group {}, of which it is no member", rank, topic.group);
      const CheckedWorld::Group& group = world_.members[at];
      if (topic.kind != Topic::kCollectives &&
          (topic.peer < 0 || topic.peer >= std::ssize(group.ranks)))
        fail("[programs] rank {} would {} member {} of the {} group, which has {}", rank,
             topic.kind == Topic::kSends ? "send to" : "receive from", topic.peer, group.name,
             group.ranks.size());
    }
  }

  // Each end of a message speaks for itself.
  void check_messages(const CheckedWorld::Group& group, int member) const {
    const int rank = group.ranks[member];
    const Topics& topics = topics_.at(world_.scripts[rank]);
    const Topic first{group.number, Topic::kSends, 0};
    for (auto at = topics.lower_bound(first); at != topics.end(); ++at) {
      const Topic& topic = at->first;
      if (topic.group != group.number) break;
      const auto other = topic.kind == Topic::kSends ? Topic::kReceives : Topic::kSends;
      compare(group, rank, topic, group.ranks[topic.peer], {group.number, other, member});
    }
  }

  uint64_t hash_at(int rank, const Topic& topic) const {
    const Topics& topics = topics_.at(world_.scripts[rank]);
    const auto found = topics.find(topic);
    return found == topics.end() ? 0 : found->second;
  }

  void compare(const CheckedWorld::Group& group, int a, const Topic& of_a, int b,
               const Topic& of_b) const {
    if (hash_at(a, of_a) == hash_at(b, of_b)) return;
    const std::vector<PlacedCall> first = calls_of(*world_.scripts[a], of_a);
    const std::vector<PlacedCall> second = calls_of(*world_.scripts[b], of_b);
    size_t i = 0;
    while (i < std::min(first.size(), second.size()) && first[i].hash == second[i].hash) ++i;
    const auto text = [i](const std::vector<PlacedCall>& calls) {
      return i < calls.size() ? calls[i].text : std::string("nothing");
    };
    fail("[programs] {} {} of the {} group: rank {} has {}, where rank {} has {}",
         of_a.kind == Topic::kCollectives ? "collective" : "message", i, group.name, a, text(first),
         b, text(second));
  }

  const CheckedWorld& world_;
  std::map<const CallScript*, Topics> topics_;
};

// The simulated ranks, numbered anew, are those that nobody stands in for.
class Rehearsal {
 public:
  explicit Rehearsal(const CheckedWorld& world) : world_(world), number_(world.scripts.size(), -1) {
    for (int rank = 0; rank < std::ssize(world.scripts); ++rank) {
      if (stand_in(rank) != rank) continue;
      number_[rank] = static_cast<int>(ranks_.size());
      ranks_.push_back(rank);
    }
  }

  void run() {
    std::vector<std::vector<ProgramPlace>> places;
    for (int rank : ranks_) {
      ProgramTasks tasks =
          tasks_of(*world_.scripts[rank], views_of(rank), nullptr, TaskDetail::kWhole);
      sim_.ranks.push_back(std::move(tasks.tasks));
      places.push_back(std::move(tasks.places));
    }
    const SimResult result = simulate(sim_);
    if (result.deadlock) report(*result.deadlock, places);
  }

 private:
  int stand_in(int rank) const { return world_.stand_ins.empty() ? rank : world_.stand_ins[rank]; }

  std::vector<GroupView> views_of(int rank) {
    std::vector<GroupView> views;
    for (int at : world_.groups[rank]) {
      GroupView& view = views.emplace_back();
      if (at < 0) continue;
      for (int member : world_.members[at].ranks) view.ranks.push_back(number_[stand_in(member)]);
      view.group = sim_group(view.ranks, world_.members[at].number);
    }
    return views;
  }

  int sim_group(std::vector<int> ranks, int number) {
    std::ranges::sort(ranks);
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    const auto [found, fresh] =
        groups_.try_emplace({number, ranks}, static_cast<int>(sim_.groups.size()));
    if (fresh) sim_.groups.push_back(std::move(ranks));
    return found->second;
  }

  [[noreturn]] void report(const SimDeadlock& deadlock,
                           const std::vector<std::vector<ProgramPlace>>& places) const {
    std::string chain;
    for (const auto& [simulated, task] : deadlock.chain) {
      const SimTask& stuck = sim_.ranks[simulated][task];
      if (stuck.kind == SimTask::Kind::kCompute) continue;  // waits for the next
      const int rank = ranks_[simulated];
      chain += fmt::format("{}rank {} in {}", chain.empty() ? "" : " waits for ", rank,
                           text_of(*world_.scripts[rank], places[simulated][task]));
    }
    const std::string end =
        deadlock.absent_rank >= 0
            ? fmt::format("rank {}, which never makes that call", ranks_[deadlock.absent_rank])
            : "the first of these";
    fail("[programs] would hang: {} waits for {}", chain, end);
  }

  static std::string text_of(const CallScript& script, ProgramPlace place) {
    const ScriptEntry& entry = script.schedule[place.entry];
    for (const ScriptStep& step : script.segments[entry.segment].steps)
      if (step.pc == place.pc && step.kind == ScriptStep::Kind::kCall)
        return fmt::format("{} (in {})", describe(script.calls[step.call]),
                           describe(script, place.entry));
    return describe(script, place.entry);
  }

  const CheckedWorld& world_;
  std::vector<int> number_;  // of a rank: in `ranks_`; -1: not simulated
  std::vector<int> ranks_;
  SimWorld sim_;
  std::map<std::pair<int, std::vector<int>>, int> groups_;
};

}  // namespace

void check_programs(const CheckedWorld& world) {
  Matcher(world).run();
  Rehearsal(world).run();
}

}  // namespace trireme::core
