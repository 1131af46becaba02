#include "comm/thread_group.h"

#include "core/base/error.h"

namespace trireme::comm {

void ThreadFate::give_up(std::string_view why) noexcept {
  const std::unique_lock lock(memory_);
  if (given_up_.load()) return;
  why_ = why;
  given_up_.store(true);
}

void ThreadFate::check() const {
  if (given_up()) throw SystemError(fmt::format("[thread] the group was given up: {}", why_));
}

std::shared_lock<std::shared_mutex> ThreadFate::read_peers() {
  std::shared_lock lock(memory_);
  check();
  return lock;
}

ThreadGroup::ThreadGroup(int size, std::shared_ptr<ThreadFate> fate)
    : size_(size),
      fate_(std::move(fate)),
      rounds_(kRounds),
      pairs_(static_cast<size_t>(size) * size),
      departed_(size) {
  for (Round& round : rounds_) {
    round.calls.resize(size);
    round.here.resize(size);
  }
}

bool ThreadGroup::arrive(int64_t number, int rank, const CollectiveCall& call) {
  const std::lock_guard lock(mutex_);
  Round& round = at(number);
  if (round.number == 0) round.number = number;
  if (round.number != number) return false;
  check_agrees(round, rank, call);
  round.calls[rank] = call;
  round.here[rank] = 1;
  ++round.arrived;
  return true;
}

// Ranks that disagree would wait for ever on a real transport; here it is an error at once.
void ThreadGroup::check_agrees(const Round& round, int rank, const CollectiveCall& call) const {
  for (int other = 0; other < size_; ++other) {
    if (round.here[other] == 0) continue;
    const CollectiveCall& theirs = round.calls[other];
    if (theirs.kind == call.kind && theirs.count == call.count && theirs.dtype == call.dtype &&
        theirs.op == call.op && theirs.peer == call.peer)
      return;
    throw SystemError(fmt::format("[thread] ranks disagree: rank {} calls {}, rank {} calls {}",
                                  rank, describe(call, size_), other, describe(theirs, size_)));
  }
}

bool ThreadGroup::all_arrived(int64_t number, int rank) {
  const std::lock_guard lock(mutex_);
  const Round& round = at(number);
  if (round.arrived == size_) return true;
  for (int other = 0; other < size_; ++other)
    if (round.here[other] == 0 && departed_[other] != 0)
      throw SystemError(fmt::format("[thread] rank {} has left; {} cannot be done", other,
                                    describe(round.calls[rank], size_)));
  return false;
}

const CollectiveCall& ThreadGroup::call_of(int64_t round, int rank) const {
  return rounds_[round % kRounds].calls[rank];
}

void ThreadGroup::pass(int64_t round, int gate) {
  const std::lock_guard lock(mutex_);
  ++at(round).passed[gate];
}

bool ThreadGroup::all_passed(int64_t round, int gate) {
  const std::lock_guard lock(mutex_);
  return at(round).passed[gate] == size_;
}

void ThreadGroup::leave(int64_t number) {
  const std::lock_guard lock(mutex_);
  Round& round = at(number);
  if (++round.left < size_) return;
  round.number = 0;
  round.here.assign(size_, 0);
  round.arrived = 0;
  round.passed = {};
  round.left = 0;
}

int64_t ThreadGroup::next_send(int source, int target) {
  const std::lock_guard lock(mutex_);
  return ++pair(source, target).sends;
}

int64_t ThreadGroup::next_recv(int source, int target) {
  const std::lock_guard lock(mutex_);
  return ++pair(source, target).recvs;
}

bool ThreadGroup::post(int source, int target, int64_t number, const CollectiveCall& send) {
  const std::lock_guard lock(mutex_);
  Post& post = pair(source, target).posts[number % kPosts];
  if (post.number != 0) return false;
  post = {number, false, send};
  return true;
}

bool ThreadGroup::posted(int source, int target, int64_t number, CollectiveCall& send) {
  const std::lock_guard lock(mutex_);
  const Post& post = pair(source, target).posts[number % kPosts];
  if (post.number == number) {
    send = post.send;
    return true;
  }
  if (departed_[source] != 0)
    throw SystemError(
        fmt::format("[thread] rank {} has left; rank {} receives nothing from it", source, target));
  return false;
}

void ThreadGroup::taken(int source, int target, int64_t number) {
  const std::lock_guard lock(mutex_);
  pair(source, target).posts[number % kPosts].taken = true;
}

bool ThreadGroup::is_taken(int source, int target, int64_t number) {
  const std::lock_guard lock(mutex_);
  Post& post = pair(source, target).posts[number % kPosts];
  if (post.taken) {
    post.number = 0;
    return true;
  }
  if (departed_[target] != 0)
    throw SystemError(
        fmt::format("[thread] rank {} has left; rank {} cannot send to it", target, source));
  return false;
}

void ThreadGroup::depart(int rank) {
  const std::lock_guard lock(mutex_);
  departed_[rank] = 1;
}

std::shared_ptr<ThreadGroup> ThreadGroup::subgroup(int64_t split, int color, int size) {
  const std::lock_guard lock(mutex_);
  const auto key = std::pair(split, color);
  Subgroup& entry = subgroups_[key];
  if (!entry.group) entry = {std::make_shared<ThreadGroup>(size, fate_), size};
  const std::shared_ptr<ThreadGroup> group = entry.group;
  if (--entry.missing == 0) subgroups_.erase(key);
  return group;
}

}  // namespace trireme::comm
