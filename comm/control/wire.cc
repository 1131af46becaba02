#include "comm/control/wire.h"

#include <algorithm>
#include <concepts>

namespace trireme::comm::control {
namespace {

constexpr size_t kRowBytes = 8 + 8 + 1 + 4 + 4 + 1;

class Writer {
 public:
  template <std::integral T>
  void number(T value) {
    const auto bits = static_cast<uint64_t>(value);
    for (size_t i = 0; i < sizeof(T); ++i) bytes_ += static_cast<char>(bits >> (8 * i));
  }
  void text(std::string_view text, size_t limit) {
    text = text.substr(0, limit);
    number(static_cast<uint32_t>(text.size()));
    bytes_ += text;
  }
  void token(const Token& token) { bytes_.append(token.begin(), token.end()); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first field that is not there or not valid, everything reads as zero and good() is
// false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  template <std::integral T>
  T number() {
    const std::string_view bytes = raw(sizeof(T));
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes.size(); ++i)
      bits |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    return static_cast<T>(bits);
  }
  bool flag() {
    const auto value = number<uint8_t>();
    good_ &= value <= 1;
    return value == 1;
  }
  Phase phase() {
    const auto value = number<uint8_t>();
    good_ &= value <= static_cast<uint8_t>(Phase::kEnd);
    return good_ ? static_cast<Phase>(value) : Phase::kStart;
  }
  std::string text(size_t limit) {
    const auto length = number<uint32_t>();
    good_ &= length <= limit;
    return std::string(good_ ? raw(length) : std::string_view());
  }
  Token token() {
    Token token{};
    const std::string_view bytes = raw(token.size());
    std::copy(bytes.begin(), bytes.end(), token.begin());
    return token;
  }
  size_t left() const { return left_.size(); }
  void refuse() { good_ = false; }
  bool good() const { return good_; }
  bool complete() const { return good_ && left_.empty(); }

 private:
  std::string_view raw(size_t count) {
    good_ &= count <= left_.size();
    if (!good_) return {};
    const std::string_view bytes = left_.substr(0, count);
    left_.remove_prefix(count);
    return bytes;
  }

  std::string_view left_;
  bool good_ = true;
};

void write_place(Writer& out, const Status& status) {
  out.number(status.pass);
  out.number(status.place);
  out.number(static_cast<uint8_t>(status.phase));
}

Status read_place(Reader& in) {
  Status status;
  status.pass = in.number<int64_t>();
  status.place = in.number<int64_t>();
  status.phase = in.phase();
  return status;
}

void write(Writer& out, const Hello& hello) {
  out.number(hello.version);
  out.token(hello.token);
  out.number(hello.rank);
}
void write(Writer& out, const Welcome& welcome) { out.token(welcome.token); }
void write(Writer& out, const Heartbeat& beat) {
  write_place(out, beat.status);
  out.text(beat.status.where, kLongestWhere);
}
void write(Writer& out, const Table& table) {
  out.number(static_cast<uint32_t>(table.rows.size()));
  for (const Table::Row& row : table.rows) {
    write_place(out, row.status);
    out.number(row.still_ms);
    out.number(row.silent_ms);
    out.number(static_cast<uint8_t>(row.left));
  }
}
void write(Writer& out, const Failure& failure) {
  out.number(failure.code);
  out.text(failure.text, kLongestText);
}
void write(Writer& out, const End& end) {
  out.number(end.code);
  out.number(end.wait_ms);
  out.number(static_cast<uint8_t>(end.flight));
  out.text(end.text, kLongestText);
}
void write(Writer&, const Goodbye&) {}

void read(Reader& in, Hello& hello) {
  hello.version = in.number<uint32_t>();
  hello.token = in.token();
  hello.rank = in.number<int32_t>();
}
void read(Reader& in, Welcome& welcome) { welcome.token = in.token(); }
void read(Reader& in, Heartbeat& beat) {
  beat.status = read_place(in);
  beat.status.where = in.text(kLongestWhere);
}
void read(Reader& in, Table& table) {
  const auto count = in.number<uint32_t>();
  if (count > in.left() / kRowBytes) return in.refuse();
  table.rows.resize(count);
  for (Table::Row& row : table.rows) {
    row.status = read_place(in);
    row.still_ms = in.number<uint32_t>();
    row.silent_ms = in.number<uint32_t>();
    row.left = in.flag();
  }
}
void read(Reader& in, Failure& failure) {
  failure.code = in.number<int32_t>();
  failure.text = in.text(kLongestText);
}
void read(Reader& in, End& end) {
  end.code = in.number<int32_t>();
  end.wait_ms = in.number<uint32_t>();
  end.flight = in.flag();
  end.text = in.text(kLongestText);
}
void read(Reader&, Goodbye&) {}

template <typename T>
std::optional<Message> decode_as(std::string_view payload) {
  Reader in(payload);
  T message;
  read(in, message);
  if (!in.complete()) return std::nullopt;
  return message;
}

template <size_t... kKinds>
std::optional<Message> decode_kind(uint8_t kind, std::string_view payload,
                                   std::index_sequence<kKinds...>) {
  using Decode = std::optional<Message> (*)(std::string_view);
  constexpr Decode table[] = {decode_as<std::variant_alternative_t<kKinds, Message>>...};
  return kind < sizeof...(kKinds) ? table[kind](payload) : std::nullopt;
}

}  // namespace

bool same_token(const Token& a, const Token& b) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i)
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

std::string encode(const Message& message) {
  Writer payload;
  std::visit([&](const auto& m) { write(payload, m); }, message);
  const std::string bytes = payload.take();
  Writer frame;
  frame.number(static_cast<uint32_t>(bytes.size()));
  frame.number(static_cast<uint8_t>(message.index()));
  return frame.take() + bytes;
}

std::optional<Message> decode(uint8_t kind, std::string_view payload) {
  return decode_kind(kind, payload, std::make_index_sequence<std::variant_size_v<Message>>());
}

size_t hello_bytes() { return encode(Hello{}).size() - kFrameHeader; }

size_t table_bytes(size_t ranks) { return 4 + ranks * kRowBytes; }

size_t longest_payload(size_t ranks) { return std::max(kLongestText + 64, table_bytes(ranks)); }

std::nullopt_t MessageReader::wait_for_more() {
  bytes_.erase(0, begin_);
  begin_ = 0;
  return std::nullopt;
}

std::optional<Message> MessageReader::next() {
  if (malformed_) return std::nullopt;
  const std::string_view left = std::string_view(bytes_).substr(begin_);
  if (left.size() < kFrameHeader) return wait_for_more();
  Reader header(left.substr(0, kFrameHeader));
  const auto length = header.number<uint32_t>();
  const auto kind = header.number<uint8_t>();
  if (length > longest_) {
    malformed_ = true;
    return std::nullopt;
  }
  if (left.size() < kFrameHeader + length) return wait_for_more();
  std::optional<Message> message = decode(kind, left.substr(kFrameHeader, length));
  malformed_ = !message;
  begin_ += kFrameHeader + length;
  return message;
}

}  // namespace trireme::comm::control
