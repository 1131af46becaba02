// The few socket calls that the control plane needs. Everything is non-blocking and close-on-exec.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace trireme::comm::control {

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Words of an errno.
std::string words_of(int error);

// This host's numeric addresses by which others may reach it, the likeliest first (bridges of
// containers last); those of one interface if `interface` names it. Throws SystemError if there are
// none.
std::vector<std::string> own_addresses(const std::string& interface);

// Listens on `address` and a port of the system's choice; an empty address: on all. Throws
// SystemError.
UniqueFd listen_on(const std::string& address, int backlog);
int port_of(const UniqueFd& listener);

// The next connection to `listener`; none if nobody waits.
UniqueFd accept_from(const UniqueFd& listener);

// Null, with `error` set, unless the connection stands within `limit`.
UniqueFd connect_to(const std::string& address, int port, std::chrono::milliseconds limit,
                    std::string& error);

// Waits for one of poll's `events` on `fd`; false after `limit`.
bool wait_for(int fd, short events, std::chrono::milliseconds limit);

// A process may hold this many descriptors, as far as its hard limit allows.
void allow_open_files(size_t count);

}  // namespace trireme::comm::control
