#include "comm/control/crew_table.h"

#include <algorithm>
#include <limits>

namespace trireme::comm::control {
namespace {

using std::chrono::milliseconds;

uint32_t wire_ms(milliseconds time) {
  return static_cast<uint32_t>(
      std::clamp<int64_t>(time.count(), 0, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

void CrewTable::hear(int rank, const Status& status, AwakeClock::Time now) {
  Row& row = rows_.at(rank);
  if (!row.status.at_same_place(status)) row.changed = now;
  row.status = status;
  row.heard = now;
}

RankView CrewTable::view(int rank, AwakeClock::Time now) const {
  const Row& row = rows_.at(rank);
  return {.rank = rank,
          .status = row.status,
          .still = std::chrono::duration_cast<milliseconds>(now - row.changed),
          .silent = std::chrono::duration_cast<milliseconds>(now - row.heard),
          .left = row.left};
}

std::vector<RankView> CrewTable::view(AwakeClock::Time now) const {
  std::vector<RankView> views;
  for (int rank = 0; rank < static_cast<int>(rows_.size()); ++rank)
    views.push_back(view(rank, now));
  return views;
}

Table CrewTable::to_wire(AwakeClock::Time now) const {
  Table table;
  for (const RankView& view : view(now)) {
    Status status = view.status;
    status.where.clear();
    table.rows.push_back({std::move(status), wire_ms(view.still), wire_ms(view.silent), view.left});
  }
  return table;
}

bool CrewTable::learn(const Table& table, int own, AwakeClock::Time now) {
  if (table.rows.size() != rows_.size()) return false;
  for (int rank = 1; rank < static_cast<int>(rows_.size()); ++rank) {
    if (rank == own) continue;
    const Table::Row& row = table.rows[rank];
    rows_[rank] = {row.status, now - milliseconds(row.still_ms), now - milliseconds(row.silent_ms),
                   row.left};
  }
  return true;
}

}  // namespace trireme::comm::control
