#include "launcher/base/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <sstream>

namespace trireme::launcher {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown host";
}

}  // namespace

void report(const std::string& message, const comm::World* world) {
  std::string who = "trireme: ";
  if (world && world->size() > 1)
    who += fmt::format("rank {}/{} on {}: ", world->rank(), world->size(), host_name());
  std::istringstream lines(message);
  std::string text;
  for (std::string line; std::getline(lines, line);) text += who + line + '\n';
  std::fflush(stdout);
  std::fputs(text.c_str(), stderr);  // in one piece: other ranks may write too
}

}  // namespace trireme::launcher
