#include "comm/control/socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "core/base/error.h"

namespace trireme::comm::control {
namespace {

// A numeric address with a port, as the socket calls take it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

bool parse(const std::string& address, int port, SocketAddress& out) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  out.bytes = found->ai_addrlen;
  return true;
}

UniqueFd open_socket(int family) {
  return UniqueFd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void send_at_once(const UniqueFd& fd) {
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool is_bridge(std::string_view name) {
  return name.starts_with("docker") || name.starts_with("br-") || name.starts_with("virbr") ||
         name.starts_with("veth") || name.starts_with("cni") || name.starts_with("podman");
}

// Link-local IPv6 needs the other side's interface too, and is left out.
std::string numeric(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    if (!IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
      inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
  }
  return text.data();
}

bool usable(const ifaddrs& entry, const std::string& interface) {
  if (entry.ifa_addr == nullptr || (entry.ifa_flags & IFF_UP) == 0) return false;
  return interface.empty() ? (entry.ifa_flags & IFF_LOOPBACK) == 0 : interface == entry.ifa_name;
}

UniqueFd bound_to(const SocketAddress& address, int backlog) {
  UniqueFd fd = open_socket(address.storage.ss_family);
  if (!fd) return fd;
  if (address.storage.ss_family == AF_INET6) {
    const int off = 0;
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (bind(fd.get(), address.get(), address.bytes) != 0 || listen(fd.get(), backlog) != 0)
    return {};
  return fd;
}

int error_of(const UniqueFd& fd) {
  int error = 0;
  socklen_t bytes = sizeof error;
  return getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

std::string words_of(int error) { return std::generic_category().message(error); }

std::vector<std::string> own_addresses(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0)
    throw SystemError("[control] cannot list network interfaces: " + words_of(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::array<std::vector<std::string>, 4> by_rank;  // IPv4, IPv6; then the same of bridges
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (!usable(*entry, interface)) continue;
    const std::string address = numeric(entry->ifa_addr);
    const size_t rank =
        (is_bridge(entry->ifa_name) ? 2 : 0) + (entry->ifa_addr->sa_family == AF_INET6 ? 1 : 0);
    if (!address.empty()) by_rank[rank].push_back(address);
  }
  std::vector<std::string> addresses;
  for (const auto& group : by_rank) addresses.insert(addresses.end(), group.begin(), group.end());
  if (addresses.empty())
    throw SystemError(interface.empty()
                          ? "[control] this host has no address that others could reach"
                          : fmt::format("[control] expects a network interface with an address, "
                                        "got '{}'; `ip address` lists them",
                                        interface));
  return addresses;
}

UniqueFd listen_on(const std::string& address, int backlog) {
  // "::" takes IPv4 as well, but not every machine has IPv6.
  const std::vector<std::string> tries =
      address.empty() ? std::vector<std::string>{"::", "0.0.0.0"} : std::vector{address};
  for (const std::string& one : tries) {
    SocketAddress where;
    if (!parse(one, 0, where)) continue;
    if (UniqueFd fd = bound_to(where, backlog)) return fd;
  }
  throw SystemError(fmt::format("[control] cannot listen on {}: {}",
                                address.empty() ? "any address" : address, words_of(errno)));
}

int port_of(const UniqueFd& listener) {
  SocketAddress bound;
  bound.bytes = sizeof bound.storage;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.bytes) != 0)
    throw SystemError("[control] a listening socket has no port: " + words_of(errno));
  return ntohs(bound.storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&bound.storage)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port);
}

UniqueFd accept_from(const UniqueFd& listener) {
  UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd) send_at_once(fd);
  return fd;
}

UniqueFd connect_to(const std::string& address, int port, std::chrono::milliseconds limit,
                    std::string& error) {
  SocketAddress where;
  if (!parse(address, port, where)) {
    error = "not an address";
    return {};
  }
  UniqueFd fd = open_socket(where.storage.ss_family);
  int status = fd && connect(fd.get(), where.get(), where.bytes) == 0 ? 0 : errno;
  if (fd && status == EINPROGRESS)
    status = wait_for(fd.get(), POLLOUT, limit) ? error_of(fd) : ETIMEDOUT;
  if (status != 0) {
    error = words_of(status);
    return {};
  }
  send_at_once(fd);
  return fd;
}

bool wait_for(int fd, short events, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd one{fd, events, 0};
    const int ready = poll(&one, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready > 0) return true;
    if (left.count() <= 0 || (ready < 0 && errno != EINTR)) return false;
  }
}

void allow_open_files(size_t count) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= count) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, count);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace trireme::comm::control
