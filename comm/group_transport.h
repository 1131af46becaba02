// core's Transport over communicators: group number -> Communicator.
//
// Owns nothing: parallel owns the communicators of its mesh, and they outlive this.
#pragma once

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

}  // namespace trireme::comm
