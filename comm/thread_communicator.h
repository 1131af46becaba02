// Ranks as threads of one process: for tests, and to rehearse a job of many ranks on one machine.
//
// Reductions add in rank order, so results are the same on every rank and in every run. A rank
// that throws gives the group up, and all others end with an error.
#pragma once

#include <vector>

#include "comm/engine.h"
#include "comm/thread_group.h"

namespace trireme::comm {

class ThreadCommunicator final : public EngineCommunicator {
 public:
  ThreadCommunicator(int rank, std::shared_ptr<ThreadGroup> group, std::shared_ptr<Engine> engine);
  ~ThreadCommunicator() override;

  std::string_view transport() const override { return "thread"; }
  std::unique_ptr<Communicator> split(int color, int key) override;
  void abort(std::string_view why) noexcept override;
  bool advance(Operation& operation) override;

 private:
  bool advance_collective(Operation& operation);
  bool advance_send(Operation& operation);
  bool advance_recv(Operation& operation);
  void move_data(int64_t round, const CollectiveCall& call);
  void reduce(int64_t round, const CollectiveCall& call, int64_t send_begin, int64_t count,
              void* recv);
  void collect_slices(int64_t round, const CollectiveCall& call);
  int64_t slice_begin(int rank, int64_t count) const { return count * rank / size(); }

  std::shared_ptr<ThreadGroup> group_;
  int64_t rounds_ = 0;               // begun, on the comm thread
  int64_t splits_ = 0;               // on the host
  std::vector<const void*> inputs_;  // scratch of `reduce`
};

// The ranks of one process. Each communicator has a comm thread of its own.
class ThreadWorld {
 public:
  explicit ThreadWorld(int size);
  std::unique_ptr<Communicator> communicator(int rank);
  void abort(std::string_view why) noexcept { fate_->give_up(why); }

 private:
  std::shared_ptr<ThreadFate> fate_;
  std::shared_ptr<ThreadGroup> group_;
};

}  // namespace trireme::comm
