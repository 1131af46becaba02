#include "comm/control/meeting.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>

#include "core/base/error.h"

namespace trireme::comm::control {
namespace {

constexpr int kMostAddresses = 8;
constexpr auto kPerAddress = std::chrono::seconds(5);

// What each rank tells of itself, and rank 0 of its socket: plain bytes of one size.
struct Introduction {
  std::array<char, 64> host{};
  int64_t pid = 0;
  uint64_t machine = 0;  // equal where 127.0.0.1 is the same place
};

struct Invitation {
  Token token{};
  uint64_t run = 0;
  int32_t port = 0;
  std::array<std::array<char, 48>, kMostAddresses> addresses{};
  std::array<char, 512> error{};
};

template <size_t N>
void copy(std::string_view text, std::array<char, N>& out) {
  std::copy_n(text.begin(), std::min(text.size(), N - 1), out.begin());
}

// Hosts of one name are not one machine, and containers on one machine have networks of their own.
uint64_t machine() {
  std::string identity;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), identity);
  struct stat network {};
  if (stat("/proc/self/ns/net", &network) == 0) identity += std::to_string(network.st_ino);
  return XXH3_64bits(identity.data(), identity.size());
}

Introduction introduce() {
  Introduction me;
  if (gethostname(me.host.data(), me.host.size() - 1) != 0) copy("unknown host", me.host);
  me.pid = getpid();
  me.machine = machine();
  return me;
}

std::vector<Introduction> introductions(Communicator& group) {
  const Introduction me = introduce();
  std::vector<Introduction> all(group.size());
  group.all_gather(&me, all.data(), sizeof me, DType::kU8, {}, "control plane: who is here");
  return all;
}

void draw(void* bytes, size_t count) {
  if (getrandom(bytes, count, 0) != static_cast<ssize_t>(count))
    throw SystemError("[control] the system gives no random numbers: " + words_of(errno));
}

UniqueFd invite(bool one_machine, int ranks, const std::string& interface, Invitation& out) {
  draw(out.token.data(), out.token.size());
  draw(&out.run, sizeof out.run);
  if (ranks == 1) return {};
  allow_open_files(static_cast<size_t>(ranks) + 256);
  const std::vector<std::string> addresses =
      one_machine ? std::vector<std::string>{"127.0.0.1"} : own_addresses(interface);
  for (size_t i = 0; i < addresses.size() && i < out.addresses.size(); ++i)
    copy(addresses[i], out.addresses[i]);
  UniqueFd listener = listen_on(one_machine || !interface.empty() ? addresses.front() : "", ranks);
  out.port = port_of(listener);
  return listener;
}

std::vector<std::string> texts(const Invitation& invitation) {
  std::vector<std::string> addresses;
  for (const auto& address : invitation.addresses)
    if (address[0] != '\0') addresses.emplace_back(address.data());
  return addresses;
}

}  // namespace

Meeting meet(Communicator& group, const std::string& interface) {
  const std::vector<Introduction> all = introductions(group);
  Meeting meeting;
  meeting.roster.rank = group.rank();
  for (const Introduction& one : all) meeting.roster.members.push_back({one.host.data(), one.pid});
  Invitation invitation;
  if (group.rank() == 0) try {
      const bool one_machine = std::ranges::all_of(
          all, [&](const Introduction& one) { return one.machine == all.front().machine; });
      meeting.listener = invite(one_machine, group.size(), interface, invitation);
    } catch (const std::exception& error) {
      copy(error.what(), invitation.error);
    }
  group.broadcast(&invitation, &invitation, sizeof invitation, DType::kU8, 0, {},
                  "control plane: where rank 0 is");
  if (invitation.error[0] != '\0') throw SystemError(invitation.error.data());
  meeting.token = invitation.token;
  meeting.run = fmt::format("{:016x}", invitation.run);
  meeting.port = invitation.port;
  meeting.addresses = texts(invitation);
  return meeting;
}

namespace {

// Sets `error` unless it is rank 0 that answers.
bool greet(Connection& connection, const Meeting& meeting, std::chrono::milliseconds limit,
           std::string& error) {
  connection.send(Hello{.token = meeting.token, .rank = meeting.roster.rank});
  const std::optional<Message> answer = connection.await(limit);
  const auto* welcome = answer ? std::get_if<Welcome>(&*answer) : nullptr;
  if (welcome != nullptr && same_token(welcome->token, meeting.token)) return true;
  error = answer              ? "something else than rank 0 answers"
          : connection.over() ? connection.why()
                              : "no answer";
  return false;
}

}  // namespace

Connection join(const Meeting& meeting, std::chrono::milliseconds limit) {
  const auto patience = std::min<std::chrono::milliseconds>(limit, kPerAddress);
  std::string answers;
  for (const std::string& address : meeting.addresses) {
    std::string error;
    if (UniqueFd fd = connect_to(address, meeting.port, patience, error)) {
      Connection connection(std::move(fd), longest_payload(meeting.roster.members.size()));
      if (greet(connection, meeting, patience, error)) return connection;
    }
    answers +=
        fmt::format("{}{}:{}: {}", answers.empty() ? "" : "; ", address, meeting.port, error);
  }
  throw SystemError(
      fmt::format("[control] cannot reach {} over TCP: {}", meeting.roster.describe(0), answers));
}

}  // namespace trireme::comm::control
