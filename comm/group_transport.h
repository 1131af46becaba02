// core's Transport over communicators: group number -> Communicator.
//
// Owns nothing: parallel owns the communicators of its mesh, and they outlive this.
#pragma once

#include <span>
#include <vector>

#include "comm/communicator.h"

namespace trireme::comm {

class GroupTransport final : public core::Transport {
 public:
  // Groups are numbered 0, 1, ... by the program; each is named once.
  void add(int group, Communicator& communicator);

  // Throws InvalidArgument for a group that was not added, else what the communicator throws.
  void enqueue(const CollectiveCall& call, Stream stream) override;

 private:
  std::vector<Communicator*> groups_;
};

// Compares the ordered collectives that the ranks of one group will make, and every send with its
// receive, before the first of them is made: a difference is an error here and would be a hang
// later.
//
//   control  the group, on CPUs (sends no buffer of the calls)
//   group    the group's number; calls of other groups are left out
//   calls    this rank's calls in order; kind, op, dtype, count, root and `what` count, pointers
//            do not
//
// Collective. Throws InvalidArgument on every rank, naming the rank that differs from the most
// others and its first different call.
void check_collective_hash(Communicator& control, int group, std::span<const CollectiveCall> calls);

}  // namespace trireme::comm
