#include "comm/control/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "comm/control/hang_report.h"

namespace trireme::comm::control {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMostStrangers = 1024;  // at a time: a flood does not use up the descriptors
constexpr milliseconds kStrangersPatience{5000};
constexpr double kTableBytesPerSecond = 1 << 20;  // of all tables together

// 1 s up to some 200 ranks; half a minute for 1,000.
AwakeClock::Base::duration table_interval(size_t ranks, milliseconds keepalive) {
  const auto bytes = static_cast<double>(table_bytes(ranks) * ranks);
  return std::max<AwakeClock::Base::duration>(
      keepalive, milliseconds(static_cast<int64_t>(1000 * bytes / kTableBytesPerSecond)));
}

}  // namespace

Hub::Hub(Crew& crew, Meeting& meeting)
    : crew_(crew),
      token_(meeting.token),
      listener_(std::move(meeting.listener)),
      ranks_(crew.roster.size()),
      missing_(crew.roster.size() - 1),
      opened_(crew.clock.now()) {}

// Ranks are read once in a beat. What wakes the thread between two beats is the end of a
// connection (POLLRDHUP); so the cost does not grow with what is sent.
void Hub::watch(std::vector<pollfd>& set) const {
  if (listener_) set.push_back({listener_.get(), POLLIN, 0});
  for (const Stranger& stranger : strangers_) set.push_back({stranger.connection.fd(), POLLIN, 0});
  for (const auto& connection : ranks_)
    if (connection) set.push_back({connection->fd(), POLLRDHUP, 0});
}

void Hub::read() {
  accept_strangers();
  question_strangers();
  for (int rank = 1; rank < crew_.roster.size(); ++rank)
    if (ranks_[rank]) read_rank(rank);
}

void Hub::accept_strangers() {
  if (!listener_) return;
  while (strangers_.size() < kMostStrangers) {
    UniqueFd fd = accept_from(listener_);
    if (!fd) return;
    strangers_.push_back({Connection(std::move(fd), hello_bytes()), crew_.clock.now()});
  }
}

void Hub::question_strangers() {
  std::erase_if(strangers_, [this](Stranger& stranger) { return is_unwelcome(stranger); });
  if (missing_ > 0 || !listener_) return;
  strangers_.clear();
  listener_ = {};
  send_tables();  // the first: no rank goes on before every rank is here
}

bool Hub::is_unwelcome(Stranger& stranger) {
  stranger.connection.read();
  if (const std::optional<Message> message = stranger.connection.next()) {
    take_in(stranger, *message);
    return true;  // a rank's connection has moved on; another one is closed
  }
  return stranger.connection.over() || crew_.clock.now() - stranger.since > kStrangersPatience;
}

bool Hub::take_in(Stranger& stranger, const Message& message) {
  const auto* hello = std::get_if<Hello>(&message);
  if (hello == nullptr || hello->version != Hello{}.version || !same_token(hello->token, token_))
    return false;
  const int rank = hello->rank;
  if (rank < 1 || rank >= crew_.roster.size() || ranks_[rank] || crew_.table.left(rank))
    return false;
  stranger.connection.allow(longest_payload(ranks_.size()));
  stranger.connection.send(Welcome{token_});
  ranks_[rank] = std::make_unique<Connection>(std::move(stranger.connection));
  crew_.table.hear(rank, crew_.table.status(rank), crew_.clock.now());
  --missing_;
  return true;
}

void Hub::read_rank(int rank) {
  Connection& connection = *ranks_[rank];
  connection.read();
  while (const std::optional<Message> message = connection.next())
    if (!handle(rank, *message)) return lose(rank, "it sent a message that no rank sends");
  if (crew_.table.left(rank))
    ranks_[rank].reset();
  else if (connection.over())
    lose(rank, connection.why());
}

void Hub::lose(int rank, const std::string& why) {
  if (lost_.empty()) lost_at_ = crew_.clock.now();
  if (!failed_.contains(rank)) lost_.push_back({rank, why});
  ranks_[rank].reset();
}

bool Hub::handle(int rank, const Message& message) {
  if (const auto* beat = std::get_if<Heartbeat>(&message)) {
    crew_.table.hear(rank, beat->status, crew_.clock.now());
  } else if (const auto* failure = std::get_if<Failure>(&message)) {
    failed_.insert(rank);
    if (!failure_) failure_ = RankFailure{rank, *failure};
  } else if (const auto* end = std::get_if<End>(&message)) {
    given_up_ = Verdict{.line = end->text,
                        .code = end->code,
                        .voice = Verdict::Voice::kSaidAlready,
                        .flight = end->flight};
  } else if (std::holds_alternative<Goodbye>(message)) {
    crew_.table.leave(rank);
  } else {
    return false;
  }
  return true;
}

void Hub::beat() {
  const Status& own = crew_.table.status(0);
  if (pulse_.due(own, crew_.clock.now(), crew_.keepalive()))
    for (const auto& connection : ranks_)
      if (connection) connection->send_if_idle(Heartbeat{own});
  if (complete() && crew_.clock.now() >= next_tables_) send_tables();
}

void Hub::send_tables() {
  const AwakeClock::Time now = crew_.clock.now();
  next_tables_ = now + table_interval(ranks_.size(), crew_.pace.keepalive);
  const Table table = crew_.table.to_wire(now);
  for (const auto& connection : ranks_)
    if (connection) connection->send_if_idle(table);
}

std::optional<Verdict> Hub::judge(bool on_beat) {
  if (given_up_) return given_up_;
  if (is_still_gathering()) return on_beat ? absentees() : std::nullopt;
  if (std::optional<Verdict> verdict = losses()) return verdict;
  if (std::optional<Verdict> verdict = first_failure(on_beat)) return verdict;
  if (!on_beat) return std::nullopt;
  return hang_verdict(crew_, crew_.table.view(crew_.clock.now()));
}

// A rank that is lost while others are on their way: these shall hear of it, too.
bool Hub::is_still_gathering() const {
  if (complete()) return false;
  return lost_.empty() || crew_.clock.now() - lost_at_ < crew_.pace.answer;
}

std::optional<Verdict> Hub::losses() {
  if (lost_.empty()) return std::nullopt;
  std::string line = gone_line(crew_, lost_.front().rank, lost_.front().why);
  std::vector<int> others;
  for (size_t i = 1; i < lost_.size(); ++i) others.push_back(lost_[i].rank);
  if (!others.empty())
    line += fmt::format("; so {} {}", others.size() == 1 ? "is" : "are", in_words(others));
  return Verdict{
      .line = line, .code = static_cast<int>(ExitCode::kInternal), .wait = crew_.pace.farewell};
}

// Waits for the beat: a rank that is killed makes others fail, and its own end is noticed within
// that time.
std::optional<Verdict> Hub::first_failure(bool on_beat) {
  if (!failure_ && crew_.failure) failure_ = RankFailure{0, *crew_.failure};
  if (!failure_ || (!on_beat && crew_.roster.size() > 1)) return std::nullopt;
  return Verdict{.line = failure_line(crew_, failure_->rank, failure_->failure.text),
                 .code = failure_->failure.code};
}

std::optional<Verdict> Hub::absentees() {
  const milliseconds limit = crew_.deadlines.get().start;
  if (limit <= milliseconds::zero() || crew_.clock.now() - opened_ <= limit) return std::nullopt;
  std::vector<int> absent;
  for (int rank = 1; rank < crew_.roster.size(); ++rank)
    if (!ranks_[rank] && !crew_.table.left(rank)) absent.push_back(rank);
  if (absent.empty()) return std::nullopt;
  const std::string who =
      absent.size() == 1 ? crew_.roster.describe(absent.front()) : in_words(absent);
  return Verdict{
      .line = fmt::format("[control] {} did not connect to rank 0 within {}", who, in_words(limit)),
      .code = static_cast<int>(ExitCode::kInternal)};
}

void Hub::tell(const Verdict& verdict) {
  for (const auto& connection : ranks_) {
    if (!connection) continue;
    connection->send(End{.code = verdict.code,
                         .wait_ms = static_cast<uint32_t>(verdict.wait.count()),
                         .flight = verdict.flight,
                         .text = verdict.line});
    connection->finish();
  }
}

void Hub::leave() {
  for (const auto& connection : ranks_) {
    if (!connection) continue;
    connection->send(Goodbye{});
    connection->finish();
  }
  drain(crew_.pace.answer);
}

// A socket that is closed with unread bytes in it takes with it what its last words were, so
// everything is read until the other side closes.
void Hub::drain(milliseconds limit) {
  const auto end = AwakeClock::Base::now() + limit;
  for (;;) {
    std::vector<pollfd> set;
    for (auto& connection : ranks_) {
      if (!connection) continue;
      connection->flush();
      connection->read();
      while (connection->next()) {
      }
      if (connection->over())
        connection.reset();
      else
        set.push_back({connection->fd(), POLLIN, 0});
    }
    const auto left = std::chrono::ceil<milliseconds>(end - AwakeClock::Base::now());
    if (set.empty() || left.count() <= 0) return;
    poll(set.data(), set.size(), static_cast<int>(left.count()));
  }
}

}  // namespace trireme::comm::control
