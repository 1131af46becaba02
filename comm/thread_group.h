// What ranks share when they are threads of one process.
//
// A collective is a round with three gates: all have arrived (buffers are known), all have passed
// (nobody writes what others read), all have left (the round can be used again). Gates are counted
// under a mutex; the data is moved outside it.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/communicator.h"

namespace trireme::comm {

// Shared by a world and all groups split from it: once it is given up, nobody touches another
// rank's memory again.
class ThreadFate {
 public:
  // Returns when no rank is reading another's memory any more.
  void give_up(std::string_view why) noexcept;
  bool given_up() const { return given_up_.load(std::memory_order_acquire); }
  void check() const;

  // Held while another rank's memory is read. Throws SystemError if the group was given up.
  [[nodiscard]] std::shared_lock<std::shared_mutex> read_peers();

 private:
  std::shared_mutex memory_;
  std::string why_;
  std::atomic<bool> given_up_{false};
};

class ThreadGroup {
 public:
  ThreadGroup(int size, std::shared_ptr<ThreadFate> fate);
  int size() const { return size_; }
  ThreadFate& fate() { return *fate_; }
  const std::shared_ptr<ThreadFate>& shared_fate() const { return fate_; }

  // Rounds are numbered 1, 2, ... alike on all ranks. `arrive` is false while the place that the
  // round would take is still used. Throws SystemError if ranks bring different calls.
  bool arrive(int64_t round, int rank, const CollectiveCall& call);
  // Throws SystemError if a rank that has not arrived never will.
  bool all_arrived(int64_t round, int rank);
  const CollectiveCall& call_of(int64_t round, int rank) const;  // once all have arrived
  void pass(int64_t round, int gate);
  bool all_passed(int64_t round, int gate);
  void leave(int64_t round);

  // Send number k of a pair meets receive number k.
  int64_t next_send(int source, int target);
  int64_t next_recv(int source, int target);
  bool post(int source, int target, int64_t number, const CollectiveCall& send);
  // The posted send; false until it is there.
  bool posted(int source, int target, int64_t number, CollectiveCall& send);
  void taken(int source, int target, int64_t number);
  // True once the receiver has taken it; frees its place.
  bool is_taken(int source, int target, int64_t number);

  // The rank will make no more calls.
  void depart(int rank);

  // The group of (split number, color), made by whoever of its `size` members comes first.
  std::shared_ptr<ThreadGroup> subgroup(int64_t split, int color, int size);

 private:
  static constexpr int kRounds = 128;  // more than calls can be in flight on one rank's streams
  static constexpr int kPosts = 64;
  static constexpr int kGates = 2;

  struct Round {
    int64_t number = 0;
    std::vector<CollectiveCall> calls;
    std::vector<char> here;
    int arrived = 0;
    std::array<int, kGates> passed{};
    int left = 0;
  };
  struct Post {
    int64_t number = 0;  // 0: free
    bool taken = false;
    CollectiveCall send;
  };
  struct Pair {
    int64_t sends = 0;
    int64_t recvs = 0;
    std::array<Post, kPosts> posts;
  };
  struct Subgroup {
    std::shared_ptr<ThreadGroup> group;
    int missing = 0;
  };

  Round& at(int64_t round) { return rounds_[round % kRounds]; }
  Pair& pair(int source, int target) { return pairs_[source * size_ + target]; }
  void check_agrees(const Round& round, int rank, const CollectiveCall& call) const;

  int size_;
  std::shared_ptr<ThreadFate> fate_;
  std::mutex mutex_;
  std::vector<Round> rounds_;
  std::vector<Pair> pairs_;
  std::vector<char> departed_;
  std::map<std::pair<int64_t, int>, Subgroup> subgroups_;
};

}  // namespace trireme::comm
