#include "comm/group_transport.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/error.h"

namespace trireme::comm {

void GroupTransport::add(int group, Communicator& communicator) {
  ensure(group >= 0, "a group number below 0");
  if (group >= static_cast<int>(groups_.size())) groups_.resize(group + 1);
  ensure(groups_[group] == nullptr, fmt::format("group {} added twice", group));
  groups_[group] = &communicator;
}

void GroupTransport::enqueue(const CollectiveCall& call, Stream stream) {
  if (call.group < 0 || call.group >= static_cast<int>(groups_.size()) ||
      groups_[call.group] == nullptr)
    fail("[{}] expects one of the {} groups of this run, got group {}", name_of(call.kind),
         groups_.size(), call.group);
  groups_[call.group]->enqueue(call, stream);
}

namespace {

bool is_point_to_point(const CollectiveCall& call) {
  return call.kind == CollectiveKind::kSend || call.kind == CollectiveKind::kRecv;
}

// Equal for the two ends of a message, and for the same collective on all ranks. The seed chains
// it to the calls before it.
int64_t hash_of(const CollectiveCall& call, int64_t seed) {
  const int kind = is_point_to_point(call) ? -1 : static_cast<int>(call.kind);
  const int root = call.kind == CollectiveKind::kBroadcast ? call.peer : 0;
  const int64_t fields[] = {kind, static_cast<int>(call.op), static_cast<int>(call.dtype), root,
                            call.count};
  const XXH64_hash_t hash = XXH64(fields, sizeof fields, static_cast<XXH64_hash_t>(seed));
  return static_cast<int64_t>(XXH64(call.what, std::strlen(call.what), hash));
}

// One rank's calls in a group: prefix[i] is the hash of the first i + 1.
struct Sequence {
  std::vector<const CollectiveCall*> calls;
  std::vector<int64_t> prefix;

  void add(const CollectiveCall& call) {
    prefix.push_back(hash_of(call, hash()));
    calls.push_back(&call);
  }
  int64_t hash() const { return prefix.empty() ? 0 : prefix.back(); }
  int64_t count() const { return static_cast<int64_t>(calls.size()); }
};

// A rank whose value fewer ranks share than any other's; -1 if all are equal. Of two ranks, or of
// equal halves, the higher: nobody can tell which is wrong.
int odd_one_out(const std::vector<int64_t>& values) {
  int odd = -1;
  auto fewest = static_cast<int64_t>(values.size());
  for (size_t r = 0; r < values.size(); ++r) {
    const int64_t same = std::count(values.begin(), values.end(), values[r]);
    if (same < static_cast<int64_t>(values.size()) && same <= fewest) {
      fewest = same;
      odd = static_cast<int>(r);
    }
  }
  return odd;
}

std::vector<int64_t> gather(Communicator& control, std::vector<int64_t> mine) {
  std::vector<int64_t> all(mine.size() * static_cast<size_t>(control.size()));
  control.all_gather(std::span<const int64_t>(mine), std::span(all), {}, "collective hash");
  return all;
}

// The text that `owner` has for its call at `index`, on every rank.
std::string text_of(Communicator& control, int owner, const Sequence& sequence, int64_t index) {
  std::vector<uint8_t> bytes(200);
  if (control.rank() == owner) {
    const std::string text = index < sequence.count()
                                 ? describe(*sequence.calls[index], control.size())
                                 : std::string("nothing more");
    std::copy_n(text.begin(), std::min(text.size(), bytes.size() - 1), bytes.begin());
  }
  control.broadcast(std::span(bytes), owner, {}, "collective hash");
  return reinterpret_cast<const char*>(bytes.data());
}

// All ranks know of the difference by now and come here together.
[[noreturn]] void report(Communicator& control, int group, int odd, const std::vector<int64_t>& all,
                         const Sequence& sequence) {
  int usual = odd == 0 ? 1 : 0;
  while (all[usual] == all[odd]) ++usual;
  std::vector<int64_t> longest = {sequence.count()};
  control.all_reduce(std::span(longest), ReduceOp::kMax, {}, "collective hash");
  std::vector<int64_t> padded = sequence.prefix;
  padded.resize(longest[0], 0);
  const std::vector<int64_t> prefixes = gather(control, padded);
  int64_t first = 0;
  while (first + 1 < longest[0] &&
         prefixes[odd * longest[0] + first] == prefixes[usual * longest[0] + first])
    ++first;
  const std::string theirs = text_of(control, odd, sequence, first);
  const std::string ours = text_of(control, usual, sequence, first);
  fail(
      "[{}] rank {} of group {} would call {} where rank {} calls {} (collective {}); all ranks "
      "must run the same job",
      control.transport(), odd, group, theirs, usual, ours, first);
}

void check_collectives(Communicator& control, int group, std::span<const CollectiveCall> calls) {
  Sequence sequence;
  for (const CollectiveCall& call : calls)
    if (call.group == group && !is_point_to_point(call)) sequence.add(call);
  const std::vector<int64_t> all = gather(control, {sequence.hash()});
  const int odd = odd_one_out(all);
  if (odd >= 0) report(control, group, odd, all, sequence);
}

void check_messages(Communicator& control, int group, std::span<const CollectiveCall> calls) {
  const int n = control.size();
  std::vector<int64_t> sends(n), recvs(n), counterparts(n);
  for (const CollectiveCall& call : calls) {
    if (call.group != group || !is_point_to_point(call)) continue;
    std::vector<int64_t>& hashes = call.kind == CollectiveKind::kSend ? sends : recvs;
    hashes.at(call.peer) = hash_of(call, hashes.at(call.peer));
  }
  control.all_to_all(std::span<const int64_t>(sends), std::span(counterparts), {},
                     "collective hash");
  int64_t wrong = -1;  // source * n + target of a pair that does not match
  for (int peer = 0; peer < n; ++peer)
    if (counterparts[peer] != recvs[peer]) wrong = peer * n + control.rank();
  control.all_reduce(std::span(&wrong, 1), ReduceOp::kMax, {}, "collective hash");
  if (wrong >= 0)
    fail(
        "[{}] what rank {} of group {} sends to rank {} is not what rank {} receives from it; all "
        "ranks must run the same job",
        control.transport(), wrong / n, group, wrong % n, wrong % n);
}

}  // namespace

void check_collective_hash(Communicator& control, int group,
                           std::span<const CollectiveCall> calls) {
  if (control.size() == 1) return;
  check_collectives(control, group, calls);
  check_messages(control, group, calls);
}

}  // namespace trireme::comm
