// What a rank leaves behind when the job hangs or rank 0 is lost: FOLDER/rank-00002.json, 0600, in
// a folder of 0700. The file of an earlier run is replaced.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/control/crew_table.h"
#include "comm/control/roster.h"

namespace trireme::comm::control {

// {"run": ..., "why": ..., "rank": 2, "size": 4, "host": ..., "pid": ..., "where": ...,
//  "columns": [...], "ranks": [[0, 12, 7, "step", 61000, 40, false], ...]}: one row a rank as this
// one knew it last. Times are milliseconds before the file was written. `where` is this rank's own;
// those of the others are in their files.
std::string flight_text(const Roster& roster, const std::string& run, const std::string& why,
                        const std::vector<RankView>& ranks);

// False if it could not be written: the job's end has more to tell than that.
bool write_flight(const std::filesystem::path& folder, int rank, const std::string& text) noexcept;

// True for one caller among all survivors of run `run`, the one that may print `line`; the file
// said-RUN.txt, with the line in it, tells the others. Also true where no file can be made: a line
// too many is better than none.
bool claim_voice(const std::filesystem::path& folder, const std::string& run,
                 const std::string& line) noexcept;

}  // namespace trireme::comm::control
