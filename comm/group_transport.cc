#include "comm/group_transport.h"

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

}  // namespace trireme::comm
