#include "comm/control/flight.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "comm/control/socket.h"

namespace trireme::comm::control {
namespace {

using Json = nlohmann::ordered_json;

Json row_of(const RankView& rank) {
  return Json::array({rank.rank, rank.status.pass, rank.status.place, name_of(rank.status.phase),
                      rank.still.count(), rank.silent.count(), rank.left});
}

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

UniqueFd create(const std::filesystem::path& path) {
  return UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

}  // namespace

std::string flight_text(const Roster& roster, const std::string& run, const std::string& why,
                        const std::vector<RankView>& ranks) {
  Json rows = Json::array();
  for (const RankView& rank : ranks) rows.push_back(row_of(rank));
  const Member& me = roster.members.at(roster.rank);
  const Json flight = {
      {"run", run},
      {"why", why},
      {"rank", roster.rank},
      {"size", roster.size()},
      {"host", me.host},
      {"pid", me.pid},
      {"where", ranks.at(roster.rank).status.where},
      {"columns", {"rank", "pass", "place", "phase", "still_ms", "silent_ms", "left"}},
      {"ranks", std::move(rows)}};
  // Texts come from other processes and need not be UTF-8.
  return flight.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool write_flight(const std::filesystem::path& folder, int rank, const std::string& text) noexcept {
  try {
    if (folder.empty()) return false;
    mkdir(folder.c_str(), 0700);
    const std::filesystem::path path = folder / fmt::format("rank-{:05}.json", rank);
    const std::filesystem::path draft = path.string() + ".tmp";
    unlink(draft.c_str());
    const UniqueFd fd = create(draft);
    return fd && write_all(fd.get(), text) && rename(draft.c_str(), path.c_str()) == 0;
  } catch (...) {
    return false;
  }
}

bool claim_voice(const std::filesystem::path& folder, const std::string& run,
                 const std::string& line) noexcept {
  try {
    if (folder.empty()) return true;
    mkdir(folder.c_str(), 0700);
    const UniqueFd fd = create(folder / fmt::format("said-{}.txt", run));
    if (!fd) return errno != EEXIST;
    write_all(fd.get(), line + "\n");
    return true;
  } catch (...) {
    return true;
  }
}

}  // namespace trireme::comm::control
