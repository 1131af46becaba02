#include "comm/control/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace trireme::comm::control {
namespace {

Token token_of(uint8_t first) {
  Token token;
  for (size_t i = 0; i < token.size(); ++i) token[i] = static_cast<uint8_t>(first + i);
  return token;
}

const Status kStatus{.pass = 1LL << 40, .place = -7, .phase = Phase::kEnd, .where = "bucket 3"};

std::vector<Message> one_of_each() {
  return {Hello{.token = token_of(200), .rank = 999},
          Welcome{token_of(3)},
          Heartbeat{kStatus},
          Table{{{kStatus, 61'000, 40, false}, {Status{}, 0, 0, true}}},
          Failure{66, "labels out of range"},
          End{71, 2000, true, "hang: rank 2"},
          Goodbye{}};
}

std::string payload_of(const std::string& frame) { return frame.substr(kFrameHeader); }

std::optional<Message> decode_frame(const std::string& frame) {
  return decode(static_cast<uint8_t>(frame[4]), payload_of(frame));
}

TEST(Wire, EveryMessageComesBackAsItWas) {
  for (const Message& message : one_of_each()) {
    const std::string frame = encode(message);
    const std::optional<Message> back = decode_frame(frame);
    ASSERT_TRUE(back) << message.index();
    EXPECT_EQ(back->index(), message.index());
    EXPECT_EQ(encode(*back), frame);
  }
  const auto beat = std::get<Heartbeat>(*decode_frame(encode(Heartbeat{kStatus})));
  EXPECT_TRUE(beat.status.at_same_place(kStatus));
  EXPECT_EQ(beat.status.where, "bucket 3");
}

TEST(Wire, PayloadsThatAreCutOrTooLongAreRefused) {
  for (const Message& message : one_of_each()) {
    const std::string payload = payload_of(encode(message));
    const auto kind = static_cast<uint8_t>(message.index());
    for (size_t length = 0; length < payload.size(); ++length)
      EXPECT_FALSE(decode(kind, payload.substr(0, length))) << int{kind} << " " << length;
    EXPECT_FALSE(decode(kind, payload + '\0')) << int{kind};
  }
  EXPECT_FALSE(decode(std::variant_size_v<Message>, ""));
  EXPECT_FALSE(decode(255, ""));
}

TEST(Wire, FieldsOutOfRangeAreRefused) {
  std::string frame = encode(Heartbeat{kStatus});
  frame[kFrameHeader + 16] = 7;  // no phase
  EXPECT_FALSE(decode_frame(frame));
  frame = encode(Table{{{Status{}, 0, 0, true}}});
  frame.back() = 2;  // no bool
  EXPECT_FALSE(decode_frame(frame));
  frame = encode(Table{});
  frame[kFrameHeader + 3] = 1;  // 2^24 rows that are not there
  EXPECT_FALSE(decode_frame(frame));
  frame = encode(Failure{70, std::string(kLongestText + 1, 'x')});
  EXPECT_EQ(std::get<Failure>(*decode_frame(frame)).text.size(), kLongestText);
}

TEST(Wire, ReaderCutsAStreamWhereverItIsCutItself) {
  std::string stream;
  for (const Message& message : one_of_each()) stream += encode(message);
  for (size_t piece : {1, 2, 7, 1000}) {
    MessageReader reader(longest_payload(2));
    std::string back;
    for (size_t at = 0; at < stream.size(); at += piece) {
      reader.add(std::string_view(stream).substr(at, piece));
      while (const auto message = reader.next()) back += encode(*message);
    }
    EXPECT_EQ(back, stream) << piece;
    EXPECT_FALSE(reader.malformed());
  }
}

TEST(Wire, ReaderStopsAtAFrameThatIsTooLong) {
  MessageReader reader(hello_bytes());
  reader.add(encode(Hello{}));
  EXPECT_TRUE(reader.next());
  reader.add(encode(Failure{70, std::string(100, 'x')}).substr(0, kFrameHeader));
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.malformed());
  reader.add(encode(Goodbye{}));
  EXPECT_FALSE(reader.next());
}

TEST(Wire, LargestTableFitsTheLimit) {
  for (size_t ranks : {1, 2, 1000}) {
    Table table;
    table.rows.resize(ranks);
    EXPECT_EQ(encode(table).size(), kFrameHeader + table_bytes(ranks));
    EXPECT_LE(table_bytes(ranks), longest_payload(ranks));
  }
}

TEST(Wire, RandomBytesAreNeverMoreThanAMalformedStream) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (bytes.size() > 4) bytes[1] = bytes[2] = bytes[3] = 0;  // a length that may be there
    MessageReader reader(longest_payload(2));
    reader.add(bytes);
    while (const auto message = reader.next())
      EXPECT_EQ(decode_frame(encode(*message)).has_value(), true);
  }
}

TEST(Wire, TokensDifferInAnyByte) {
  const Token token = token_of(1);
  EXPECT_TRUE(same_token(token, token_of(1)));
  for (size_t i = 0; i < token.size(); ++i) {
    Token other = token;
    other[i] ^= 0x80;
    EXPECT_FALSE(same_token(token, other)) << i;
  }
}

}  // namespace
}  // namespace trireme::comm::control
