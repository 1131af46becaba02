#include "comm/control/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace trireme::comm::control {
namespace {

constexpr int kReadsAtOnce = 64;  // of 4 KiB: nobody keeps the thread busy for long

}  // namespace

void Connection::read() {
  std::array<char, 4096> bytes;
  for (int i = 0; i < kReadsAtOnce && !closed_; ++i) {
    const ssize_t count = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (count > 0) {
      reader_.add({bytes.data(), static_cast<size_t>(count)});
      more_ = true;
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return;
    } else {
      closed_ = true;  // also a reset: it is what a killed process leaves behind
    }
  }
}

std::optional<Message> Connection::next() {
  std::optional<Message> message = reader_.next();
  more_ = message.has_value();
  return message;
}

std::string Connection::why() const {
  return reader_.malformed() ? "it sent what is no message of the control plane"
                             : "its connection closed";
}

void Connection::send(const Message& message) {
  if (finishing_) return;
  outbox_ += encode(message);
  flush();
}

void Connection::send_if_idle(const Message& message) {
  flush();
  if (!unsent()) send(message);
}

void Connection::flush() {
  while (!outbox_.empty()) {
    const ssize_t count = ::send(fd_.get(), outbox_.data(), outbox_.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    // A broken connection shows up where it is read.
    count < 0 ? outbox_.clear() : static_cast<void>(outbox_.erase(0, static_cast<size_t>(count)));
  }
  if (finishing_) shutdown(fd_.get(), SHUT_WR);
}

void Connection::finish() {
  if (finishing_) return;
  finishing_ = true;
  flush();
}

std::optional<Message> Connection::await(std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + limit;
  for (;;) {
    if (std::optional<Message> message = next()) return message;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (over() || left.count() <= 0) return std::nullopt;
    if (wait_for(fd_.get(), POLLIN, left)) read();
  }
}

}  // namespace trireme::comm::control
