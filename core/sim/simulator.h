// When everything happens: ranks with streams, simulated from the order in which each rank issues
// its work.
//
// A rank's tasks are listed as its host issues them. Tasks of one stream run one after another; a
// task may also wait for all that its rank has put on other streams before it. A collective begins
// when every member of its group has come to it and ends on all of them together; a message begins
// when both ends have come to it (rendezvous: what deadlocks here may get through a transport that
// buffers, and what does not deadlock here never does). The k-th call of a member in its group is
// the k-th of every other, and calls of one group begin in the order in which they were issued,
// whatever streams they lie on, as comm's engine keeps them.
//
// Transfers do not slow each other down; what a transfer takes is the caller's to say. Nothing here
// is random, and no clock is read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace trireme::core {

struct SimTask {
  enum class Kind : uint8_t { kCompute, kCollective, kSend, kRecv };

  Kind kind = Kind::kCompute;
  uint8_t stream = 0;  // below kSimStreams
  uint16_t waits = 0;  // bit i: for all that was issued to stream i before this task
  int32_t after = -1;  // a task of this rank, issued before, to wait for besides; -1: none
  int32_t group = -1;  // of a communication: in SimWorld::groups
  int32_t peer = -1;   // of kSend and kRecv: the other end, a simulated rank
  int32_t label = -1;  // the caller's own
  double seconds = 0;  // of work; of a transfer once all have come (the longest of its members)
  double exposed =
      0;  // of kCompute: of its seconds, those of transfers that are waited for at once
};
constexpr int kSimStreams = 16;

constexpr uint16_t stream_bit(int stream) { return static_cast<uint16_t>(1u << stream); }

struct SimWorld {
  std::vector<std::vector<SimTask>> ranks;  // in the order of issue
  std::vector<std::vector<int>> groups;     // the simulated ranks that take part
};

struct SimSpan {
  double begin = 0, end = 0;  // seconds from the step's start
};

// A rank's compute stream is stream 0. seconds of the step = busy + exposed + idle.
struct SimRankTimes {
  double busy = 0;           // in compute tasks
  double exposed = 0;        // waiting while a transfer that is waited for is under way
  double idle = 0;           // waiting for other ranks to come, and after its last task: the bubble
  double communication = 0;  // transfers, added up over the other streams

  // The share of its communication that a rank hides behind computing; 1 if it has none.
  double overlap() const { return communication > 0 ? 1 - exposed / communication : 1; }
};

// Why the ranks cannot go on: each task waits for the next one, and the last for the first; or,
// where `absent_rank` says so, the last waits for a call that this rank never makes.
struct SimDeadlock {
  struct At {
    int rank = 0, task = 0;
  };
  std::vector<At> chain;
  int absent_rank = -1;
};

struct SimResult {
  double seconds = 0;                       // until the last rank has done its last task
  std::vector<std::vector<SimSpan>> spans;  // by rank and task; of tasks that ran
  std::vector<SimRankTimes> ranks;
  std::optional<SimDeadlock> deadlock;  // then the times say nothing
};

SimResult simulate(const SimWorld& world);

}  // namespace trireme::core
