#include "core/program/input_sets.h"

#include <algorithm>

namespace trireme::core {

int input_sets(const Program& program) {
  std::vector<int> last_read(program.micro_batches, -1);
  const auto reads = [&](const ScheduleEntry& entry) {
    return program.segments[entry.segment].reads_inputs;
  };
  for (size_t i = 0; i < program.schedule.size(); ++i)
    if (reads(program.schedule[i]))
      last_read[program.schedule[i].micro_batch] = static_cast<int>(i);
  int fetched = 0, finished = 0, most = 1;
  for (size_t i = 0; i < program.schedule.size(); ++i) {
    if (!reads(program.schedule[i])) continue;
    fetched = std::max(fetched, program.schedule[i].micro_batch + 1);
    while (finished < fetched && last_read[finished] < static_cast<int>(i)) ++finished;
    most = std::max(most, fetched - finished);
  }
  return most;
}

}  // namespace trireme::core
