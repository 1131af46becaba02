// What goes over a connection of the control plane, byte by byte.
//
// A frame is the length of its payload (4 bytes), its kind (1 byte) and the payload; numbers are
// little-endian, a text is its length (4 bytes) and its bytes. Every length is checked before
// anything is kept, and a payload must end where its last field does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "comm/control/status.h"

namespace trireme::comm::control {

constexpr size_t kFrameHeader = 5;
constexpr size_t kLongestText = 8192;  // longer ones are cut off when they are sent
constexpr size_t kLongestWhere = 512;

using Token = std::array<uint8_t, 32>;
bool same_token(const Token& a, const Token& b);  // in a time that tells nothing of either

// The first frame of a connection: rank `rank` comes to rank 0.
struct Hello {
  uint32_t version = 1;
  Token token{};
  int32_t rank = 0;
};
// Rank 0's answer, which shows that it is rank 0 indeed.
struct Welcome {
  Token token{};
};
struct Heartbeat {
  Status status;
};
// All ranks as rank 0 sees them, without words: 26 bytes a rank.
struct Table {
  struct Row {
    Status status;  // without `where`
    uint32_t still_ms = 0, silent_ms = 0;
    bool left = false;
  };
  std::vector<Row> rows;
};
// To rank 0: the sender failed.
struct Failure {
  int32_t code = 0;
  std::string text;
};
// The job ends, and somebody has said why.
struct End {
  int32_t code = 0;
  uint32_t wait_ms = 0;  // for the launcher, before the process ends itself
  bool flight = false;
  std::string text;
};
struct Goodbye {};

using Message = std::variant<Hello, Welcome, Heartbeat, Table, Failure, End, Goodbye>;

std::string encode(const Message& message);
// Null if the payload is not exactly one valid message of the kind.
std::optional<Message> decode(uint8_t kind, std::string_view payload);

size_t hello_bytes();  // the longest payload before a token was shown
size_t table_bytes(size_t ranks);
size_t longest_payload(size_t ranks);

// Cuts a stream of bytes into messages. Holds at most one frame and what came with it.
class MessageReader {
 public:
  explicit MessageReader(size_t longest_payload) : longest_(longest_payload) {}

  void add(std::string_view bytes) { bytes_ += bytes; }
  std::optional<Message> next();  // null: nothing whole is there, or the stream is malformed
  bool malformed() const { return malformed_; }
  void allow(size_t longest_payload) { longest_ = longest_payload; }

 private:
  std::nullopt_t wait_for_more();

  size_t longest_;
  std::string bytes_;
  size_t begin_ = 0;
  bool malformed_ = false;
};

}  // namespace trireme::comm::control
