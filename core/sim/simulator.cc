#include "core/sim/simulator.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "core/base/error.h"

namespace trireme::core {
namespace {

constexpr int kCompute = 0;

// Those who must come together for a collective of a group, or the two ends of one direction of
// messages. `calls[i]` are the tasks of member i, in their order.
struct Channel {
  std::vector<int> ranks;
  std::vector<std::vector<int>> calls;
  std::vector<int> posted;      // of each member: calls that it has come to,
  std::vector<double> last;     // and when to the last of them
  std::vector<double> readies;  // of each call: when the last member so far came
  std::vector<int> arrived;     // of each call
};

// What a task waits for besides the one before it on its stream.
struct Needs {
  int channel = -1, member = -1, call = -1;
  int first_dependency = 0, dependencies = 0;  // tasks of the same rank
};

struct Lane {  // one stream of one rank
  std::vector<int> tasks;
  size_t head = 0;
  double free_at = 0;
  bool posted = false;  // the head has come to its meeting
  bool queued = false;

  bool done() const { return head == tasks.size(); }
  int current() const { return tasks[head]; }
};

struct Rank {
  std::vector<Needs> needs;
  std::vector<int> dependencies;
  std::array<Lane, kSimStreams> lanes;
};

class Simulator {
 public:
  explicit Simulator(const SimWorld& world) : world_(world), ranks_(world.ranks.size()) {
    result_.spans.resize(ranks_.size());
    for (size_t rank = 0; rank < ranks_.size(); ++rank) enter(static_cast<int>(rank));
  }

  SimResult run() {
    for (size_t rank = 0; rank < ranks_.size(); ++rank) wake(static_cast<int>(rank));
    while (!awake_.empty()) {
      const auto [rank, stream] = awake_.back();
      awake_.pop_back();
      ranks_[rank].lanes[stream].queued = false;
      advance(rank, stream);
    }
    for (size_t rank = 0; rank < ranks_.size() && !result_.deadlock; ++rank)
      for (int stream = 0; stream < kSimStreams && !result_.deadlock; ++stream)
        if (!ranks_[rank].lanes[stream].done())
          explain({static_cast<int>(rank), ranks_[rank].lanes[stream].current()});
    account();
    return std::move(result_);
  }

 private:
  const SimTask& task_at(int rank, int task) const { return world_.ranks[rank][task]; }

  void enter(int rank) {
    const auto& tasks = world_.ranks[rank];
    Rank& state = ranks_[rank];
    state.needs.resize(tasks.size());
    result_.spans[rank].resize(tasks.size());
    std::array<int, kSimStreams> last;
    last.fill(-1);
    for (int i = 0; i < static_cast<int>(tasks.size()); ++i) {
      const SimTask& task = tasks[i];
      ensure(task.stream < kSimStreams, "a stream of the simulator");
      Needs& needs = state.needs[i];
      needs.first_dependency = static_cast<int>(state.dependencies.size());
      for (int stream = 0; stream < kSimStreams; ++stream)
        if ((task.waits & stream_bit(stream)) && stream != task.stream && last[stream] >= 0)
          state.dependencies.push_back(last[stream]);
      if (task.after >= 0 && tasks[task.after].stream != task.stream)
        state.dependencies.push_back(task.after);
      needs.dependencies = static_cast<int>(state.dependencies.size()) - needs.first_dependency;
      if (task.kind != SimTask::Kind::kCompute) join_channel(rank, i, task, needs);
      state.lanes[task.stream].tasks.push_back(i);
      last[task.stream] = i;
    }
  }

  void join_channel(int rank, int index, const SimTask& task, Needs& needs) {
    const bool collective = task.kind == SimTask::Kind::kCollective;
    const int from = task.kind == SimTask::Kind::kSend ? rank : task.peer;
    const int to = task.kind == SimTask::Kind::kSend ? task.peer : rank;
    const auto key = collective ? std::tuple{task.group, -1, -1} : std::tuple{task.group, from, to};
    const auto [found, fresh] = channel_of_.try_emplace(key, static_cast<int>(channels_.size()));
    if (fresh) {
      Channel channel{.ranks = collective ? world_.groups.at(task.group) : std::vector{from, to},
                      .calls = {},
                      .posted = {},
                      .last = {},
                      .readies = {},
                      .arrived = {}};
      channel.calls.resize(channel.ranks.size());
      channel.posted.resize(channel.ranks.size());
      channel.last.resize(channel.ranks.size());
      channels_.push_back(std::move(channel));
    }
    Channel& channel = channels_[found->second];
    const auto member = std::ranges::find(channel.ranks, rank);
    ensure(member != channel.ranks.end(), "a rank calls collectives of its own groups");
    needs.channel = found->second;
    needs.member = static_cast<int>(member - channel.ranks.begin());
    needs.call = static_cast<int>(channel.calls[needs.member].size());
    channel.calls[needs.member].push_back(index);
    if (channel.readies.size() < channel.calls[needs.member].size()) {
      channel.readies.push_back(0);
      channel.arrived.push_back(0);
    }
  }

  void wake(int rank, int stream) {
    Lane& lane = ranks_[rank].lanes[stream];
    if (lane.queued || lane.done()) return;
    lane.queued = true;
    awake_.emplace_back(rank, stream);
  }
  void wake(int rank) {
    for (int stream = 0; stream < kSimStreams; ++stream) wake(rank, stream);
  }

  // The first task of its own rank that `task` has to wait for, or -1.
  int blocked_by(int rank, int task) const {
    const Rank& state = ranks_[rank];
    const Needs& needs = state.needs[task];
    for (int i = 0; i < needs.dependencies; ++i) {
      const int before = state.dependencies[needs.first_dependency + i];
      if (!has_run(rank, before)) return before;
    }
    if (needs.channel < 0) return -1;
    const Channel& channel = channels_[needs.channel];
    const int posted = channel.posted[needs.member];
    return posted < needs.call ? channel.calls[needs.member][posted] : -1;
  }

  bool has_run(int rank, int task) const {
    const Lane& lane = ranks_[rank].lanes[task_at(rank, task).stream];
    return lane.done() || lane.current() > task;
  }

  double ready_time(int rank, int task) const {
    const Rank& state = ranks_[rank];
    double ready = state.lanes[task_at(rank, task).stream].free_at;
    for (int i = 0; i < state.needs[task].dependencies; ++i) {
      const int before = state.dependencies[state.needs[task].first_dependency + i];
      ready = std::max(ready, result_.spans[rank][before].end);
    }
    return ready;
  }

  void advance(int rank, int stream) {
    Lane& lane = ranks_[rank].lanes[stream];
    while (!lane.done() && !lane.posted) {
      const int index = lane.current();
      if (blocked_by(rank, index) >= 0) return;
      const SimTask& task = task_at(rank, index);
      const double ready = ready_time(rank, index);
      if (task.kind != SimTask::Kind::kCompute) return post(rank, index, ready);
      finish(rank, index, {ready, ready + task.seconds});
    }
  }

  void post(int rank, int index, double ready) {
    const Needs& needs = ranks_[rank].needs[index];
    Channel& channel = channels_[needs.channel];
    ranks_[rank].lanes[task_at(rank, index).stream].posted = true;
    ++channel.posted[needs.member];
    ready = std::max(ready, channel.last[needs.member]);
    channel.last[needs.member] = ready;
    channel.readies[needs.call] = std::max(channel.readies[needs.call], ready);
    const bool complete = ++channel.arrived[needs.call] == static_cast<int>(channel.ranks.size());
    if (complete) meet(channel, needs.call);
    wake(rank);
  }

  void meet(const Channel& channel, int call) {
    double seconds = 0;
    for (size_t m = 0; m < channel.ranks.size(); ++m)
      seconds = std::max(seconds, task_at(channel.ranks[m], channel.calls[m][call]).seconds);
    const double begin = channel.readies[call];
    for (size_t m = 0; m < channel.ranks.size(); ++m) {
      const int rank = channel.ranks[m], task = channel.calls[m][call];
      finish(rank, task, {begin, begin + seconds});
    }
  }

  void finish(int rank, int task, SimSpan span) {
    Lane& lane = ranks_[rank].lanes[task_at(rank, task).stream];
    result_.spans[rank][task] = span;
    lane.free_at = span.end;
    lane.posted = false;
    ++lane.head;
    wake(rank);
  }

  // Walks from what is stuck to what it waits for until a task comes again or somebody is absent.
  void explain(SimDeadlock::At at) {
    SimDeadlock deadlock;
    std::map<std::pair<int, int>, size_t> seen;
    while (true) {
      at.task = ranks_[at.rank].lanes[task_at(at.rank, at.task).stream].current();
      const auto [first, fresh] = seen.try_emplace({at.rank, at.task}, deadlock.chain.size());
      if (!fresh) {
        const auto begin = deadlock.chain.begin() + static_cast<std::ptrdiff_t>(first->second);
        deadlock.chain.erase(deadlock.chain.begin(), begin);
        break;
      }
      deadlock.chain.push_back(at);
      if (const int own = blocked_by(at.rank, at.task); own >= 0 && !is_posted(at.rank, at.task)) {
        at.task = own;
        continue;
      }
      const Needs& needs = ranks_[at.rank].needs[at.task];
      const Channel& channel = channels_[needs.channel];
      const int missing = missing_member(channel, needs.call);
      at.rank = channel.ranks[missing];
      if (needs.call >= static_cast<int>(channel.calls[missing].size())) {
        deadlock.absent_rank = at.rank;
        break;
      }
      at.task = channel.calls[missing][needs.call];
    }
    result_.deadlock = std::move(deadlock);
  }

  bool is_posted(int rank, int task) const {
    const Lane& lane = ranks_[rank].lanes[task_at(rank, task).stream];
    return lane.posted && lane.current() == task;
  }

  int missing_member(const Channel& channel, int call) const {
    for (size_t m = 0; m < channel.ranks.size(); ++m)
      if (channel.posted[m] <= call) return static_cast<int>(m);
    ensure(false, "a call that waits lacks a member");
    return 0;
  }

  void account() {
    for (const auto& spans : result_.spans)
      for (const SimSpan& span : spans) result_.seconds = std::max(result_.seconds, span.end);
    for (size_t rank = 0; rank < ranks_.size(); ++rank)
      result_.ranks.push_back(times_of(static_cast<int>(rank)));
  }

  SimRankTimes times_of(int rank) const {
    SimRankTimes times;
    double before = 0;
    for (size_t i = 0; i < world_.ranks[rank].size(); ++i) {
      const SimTask& task = task_at(rank, static_cast<int>(i));
      const SimSpan span = result_.spans[rank][i];
      if (task.kind != SimTask::Kind::kCompute) times.communication += span.end - span.begin;
      if (task.stream != kCompute) continue;
      times.busy += span.end - span.begin - task.exposed;
      times.exposed += task.exposed;
      times.communication += task.exposed;
      times.exposed += transfers_within(rank, static_cast<int>(i), {before, span.begin});
      before = span.end;
    }
    times.idle = result_.seconds - times.busy - times.exposed;
    return times;
  }

  // Seconds of `gap` in which a transfer runs that the task waits for, on whichever stream.
  double transfers_within(int rank, int task, SimSpan gap) const {
    if (gap.end <= gap.begin) return 0;
    const Rank& state = ranks_[rank];
    std::vector<SimSpan> transfers;
    for (int i = 0; i < state.needs[task].dependencies; ++i) {
      const int last = state.dependencies[state.needs[task].first_dependency + i];
      const Lane& lane = state.lanes[task_at(rank, last).stream];
      auto at = std::ranges::lower_bound(lane.tasks, last);
      for (;; --at) {
        const SimSpan span = result_.spans[rank][*at];
        if (span.end <= gap.begin) break;
        transfers.push_back({std::max(span.begin, gap.begin), std::min(span.end, gap.end)});
        if (at == lane.tasks.begin()) break;
      }
    }
    std::ranges::sort(transfers, {}, &SimSpan::begin);
    double covered = 0, until = gap.begin;
    for (const SimSpan& span : transfers) {
      covered += std::max(0.0, span.end - std::max(span.begin, until));
      until = std::max(until, span.end);
    }
    return covered;
  }

  const SimWorld& world_;
  std::vector<Rank> ranks_;
  std::vector<Channel> channels_;
  std::map<std::tuple<int, int, int>, int> channel_of_;  // group, from, to (-1 of a collective)
  std::vector<std::pair<int, int>> awake_;               // rank, stream
  SimResult result_;
};

}  // namespace

SimResult simulate(const SimWorld& world) { return Simulator(world).run(); }

}  // namespace trireme::core
