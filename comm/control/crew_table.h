// What is known of every rank: on rank 0 from their heartbeats, on the others from rank 0.
#pragma once

#include <chrono>
#include <vector>

#include "comm/control/awake_clock.h"
#include "comm/control/status.h"
#include "comm/control/wire.h"

namespace trireme::comm::control {

// One rank at one moment.
struct RankView {
  int rank = 0;
  Status status;
  std::chrono::milliseconds still{};   // since its status last changed
  std::chrono::milliseconds silent{};  // since it was last heard
  bool left = false;                   // it said goodbye
};

class CrewTable {
 public:
  CrewTable(int size, AwakeClock::Time now) : rows_(size, {{}, now, now}) {}

  void hear(int rank, const Status& status, AwakeClock::Time now);
  void leave(int rank) { rows_.at(rank).left = true; }
  const Status& status(int rank) const { return rows_.at(rank).status; }
  bool left(int rank) const { return rows_.at(rank).left; }

  RankView view(int rank, AwakeClock::Time now) const;
  std::vector<RankView> view(AwakeClock::Time now) const;

  Table to_wire(AwakeClock::Time now) const;
  // Takes over what rank 0 knows of all but rank 0 and `own`. False if it is not of this crew.
  bool learn(const Table& table, int own, AwakeClock::Time now);

 private:
  struct Row {
    Status status;
    AwakeClock::Time changed, heard;
    bool left = false;
  };

  std::vector<Row> rows_;
};

}  // namespace trireme::comm::control
