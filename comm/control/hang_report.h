// Who holds up whom: a function of what is known of the ranks, and of nothing else.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/control/crew_table.h"
#include "comm/control/roster.h"

namespace trireme::comm::control {

struct HangReport {
  std::vector<int> culprits;  // silent ranks, else those behind; empty: nobody is behind
  std::string line;
};

// A rank is late once it has not moved, or has not been heard, for its phase's deadline. If one is,
// the ranks that the others wait for are the silent ones (unheard for `silence` and for half of the
// shortest deadline of a late rank, whatever their own: heartbeats have a thread of their own, so
// that no phase excuses silence, and the phase that was heard last may be over), else those with
// the least (pass, place) if one of these is late: a rank that waits in a step, late, for one that
// writes a checkpoint, and is not late yet, is no hang. Since nobody moves in a hang, everybody is
// late in the end.
//
// Ranks that have left are not looked at. `line`, without a newline:
//   hang: rank 2/4 on node07 (pid 123) has not moved for 61 s: it is in train: data.next of
//   micro-batch 0; ranks 0, 1 and 3 wait in all_reduce of bucket 1 (fc1/weight ...)
std::optional<HangReport> find_hang(std::span<const RankView> ranks, const Roster& roster,
                                    const Deadlines& deadlines, std::chrono::milliseconds silence);

// Of the phases in which ranks are late, the shortest deadline; nothing if no rank is late.
std::optional<std::chrono::milliseconds> shortest_late(std::span<const RankView> ranks,
                                                       const Deadlines& deadlines);

// "61 s", "0.4 s"
std::string in_words(std::chrono::milliseconds time);
// `where` of the status, or its phase if it says nothing.
std::string place_of(const Status& status);

}  // namespace trireme::comm::control
