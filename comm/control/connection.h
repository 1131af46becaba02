// One TCP connection of the control plane: messages in, messages out, and never a wait.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "comm/control/socket.h"
#include "comm/control/wire.h"

namespace trireme::comm::control {

class Connection {
 public:
  // `longest_payload`: a longer frame from the other side is malformed.
  Connection(UniqueFd fd, size_t longest_payload) : fd_(std::move(fd)), reader_(longest_payload) {}

  int fd() const { return fd_.get(); }

  // Takes in what has come. next() then gives it message by message.
  void read();
  std::optional<Message> next();
  void allow(size_t longest_payload) { reader_.allow(longest_payload); }

  // The other side has closed, or what it sent is no message, and all before that was given by
  // next(). `why()`: "its connection closed".
  bool over() const { return (closed_ || reader_.malformed()) && !more_; }
  bool malformed() const { return reader_.malformed(); }
  std::string why() const;

  // Sends, or keeps what the socket does not take now; flush() goes on with it.
  void send(const Message& message);
  // The same, but leaves the message out while older ones are kept: the next will be newer.
  void send_if_idle(const Message& message);
  void flush();
  bool unsent() const { return !outbox_.empty(); }

  // No message comes after those sent. Closing this direction is also what wakes the other side,
  // which looks at what it was sent only once in a beat (POLLRDHUP).
  void finish();

  // Waits, at most so long, for the next message; for a connection that is being set up.
  std::optional<Message> await(std::chrono::milliseconds limit);

 private:
  UniqueFd fd_;
  MessageReader reader_;
  std::string outbox_;
  bool closed_ = false;
  bool more_ = false;  // next() has not come to the end of what was read
  bool finishing_ = false;
};

}  // namespace trireme::comm::control
