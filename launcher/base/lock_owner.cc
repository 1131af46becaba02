#include "launcher/base/lock_owner.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error.h"
#include "launcher/base/uuid.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kEnd = "\"}\n";  // after the counter's digits

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  std::string host = name.data();
  std::erase_if(host, [](unsigned char c) { return !std::isalnum(c) && c != '.' && c != '-'; });
  return host.empty() ? "unknown" : host;
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return file >> id ? id : "";
}

uint64_t own_pid_namespace() {
  struct stat status {};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::array<char, 32> text{};
  gmtime_r(&now, &parts);
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

struct ProcessStat {
  char state = 0;
  uint64_t start_time = 0;
};

// Fields 3 and 22 of /proc/PID/stat, see proc(5). The name before them may hold blanks and ")".
std::optional<ProcessStat> read_stat(int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  if (!(fields >> stat.start_time)) return {};
  return stat;
}

// A process that was killed stays visible until its parent asks for its status. While it has
// threads other than the first, these may still be inside the system.
bool only_remains(int64_t pid, char state) {
  if (state != 'Z' && state != 'X') return false;
  std::error_code error;
  const std::filesystem::directory_iterator threads(fmt::format("/proc/{}/task", pid), error);
  return error || std::distance(begin(threads), end(threads)) <= 1;
}

bool is_made_of(const std::string& text, std::string_view marks, size_t most) {
  return text.size() <= most && std::ranges::all_of(text, [&](unsigned char c) {
           return (c < 128 && std::isalnum(c)) || marks.find(static_cast<char>(c)) != marks.npos;
         });
}

}  // namespace

LockOwner LockOwner::self() {
  LockOwner owner{.host = host_name(),
                  .boot = boot_id(),
                  .pid_namespace = own_pid_namespace(),
                  .pid = ::getpid(),
                  .uuid = make_uuid(),
                  .since = utc_now()};
  if (const auto stat = read_stat(owner.pid))
    owner.start_time = stat->start_time;
  else
    owner.boot.clear();  // without /proc nobody can tell whether this process lives
  return owner;
}

std::string LockOwner::digits(uint64_t counter) { return fmt::format("{:0{}}", counter, kDigits); }

std::string LockOwner::encode(uint64_t counter) const {
  const Json json{{"host", host},
                  {"boot", boot},
                  {"pid_namespace", pid_namespace},
                  {"pid", pid},
                  {"start_time", start_time},
                  {"uuid", uuid},
                  {"since", since},
                  {"counter", digits(counter)}};
  return json.dump() + "\n";
}

int64_t LockOwner::counter_offset() const {
  return static_cast<int64_t>(encode(0).size() - kEnd.size()) - kDigits;
}

std::optional<LockOwner> LockOwner::parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return {};
  LockOwner owner;
  try {
    json.at("host").get_to(owner.host);
    json.at("boot").get_to(owner.boot);
    json.at("pid_namespace").get_to(owner.pid_namespace);
    json.at("pid").get_to(owner.pid);
    json.at("start_time").get_to(owner.start_time);
    json.at("uuid").get_to(owner.uuid);
    json.at("since").get_to(owner.since);
    const auto counter = json.at("counter").get<std::string>();
    const auto digit = [](unsigned char c) { return std::isdigit(c) != 0; };
    if (counter.size() != kDigits || !std::ranges::all_of(counter, digit)) return {};
  } catch (const Json::exception&) {
    return {};
  }
  const bool sound = is_made_of(owner.host, ".-", 255) && is_made_of(owner.boot, "-", 64) &&
                     is_made_of(owner.uuid, "-", 64) && is_made_of(owner.since, ":- ", 64) &&
                     !owner.uuid.empty() && owner.pid > 0;
  if (!sound) return {};
  return owner;
}

LockOwner::Life LockOwner::life() const {
  if (boot.empty() || boot != boot_id() || pid_namespace == 0 ||
      pid_namespace != own_pid_namespace())
    return Life::kUnknown;
  if (const auto stat = read_stat(pid)) {
    const bool same = stat->start_time == start_time && !only_remains(pid, stat->state);
    return same ? Life::kAlive : Life::kGone;
  }
  // /proc may hide other users' processes (hidepid).
  const bool gone = ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
  return gone ? Life::kGone : Life::kAlive;
}

std::string LockOwner::str() const {
  return fmt::format("pid {} on {} since {}", pid, host, since);
}

}  // namespace trireme::launcher
