#include "comm/control/spoke.h"

#include <algorithm>
#include <array>

#include "comm/control/hang_report.h"

namespace trireme::comm::control {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestWait{60'000};  // that rank 0 may ask for

milliseconds start_limit(const Crew& crew) {
  const milliseconds limit = crew.deadlines.get().start;
  return limit > milliseconds::zero() ? limit : milliseconds::max();
}

}  // namespace

Spoke::Spoke(Crew& crew, const Meeting& meeting)
    : crew_(crew), center_(std::make_unique<Connection>(join(meeting, start_limit(crew)))) {}

void Spoke::watch(std::vector<pollfd>& set) const {
  const short events = ready_ ? POLLRDHUP : POLLRDHUP | POLLIN;
  if (center_) set.push_back({center_->fd(), events, 0});
}

void Spoke::read() {
  if (!center_) return;
  center_->read();
  while (const std::optional<Message> message = center_->next()) {
    if (!handle(*message)) return lose_center("it sent a message that rank 0 does not send");
    if (!center_) return;
  }
  if (center_->over() && !verdict_) lose_center(center_->why());
}

bool Spoke::handle(const Message& message) {
  if (const auto* beat = std::get_if<Heartbeat>(&message)) {
    crew_.table.hear(0, beat->status, crew_.clock.now());
  } else if (const auto* table = std::get_if<Table>(&message)) {
    ready_ = true;
    return crew_.table.learn(*table, crew_.own(), crew_.clock.now());
  } else if (const auto* end = std::get_if<End>(&message)) {
    verdict_ = Verdict{.line = end->text,
                       .code = end->code,
                       .voice = Verdict::Voice::kSaidAlready,
                       .flight = end->flight,
                       .wait = std::min(milliseconds(end->wait_ms), kLongestWait)};
  } else if (std::holds_alternative<Goodbye>(message)) {
    crew_.table.leave(0);
    center_.reset();
  } else {
    return false;
  }
  return true;
}

void Spoke::lose_center(const std::string& why) {
  center_.reset();
  verdict_ = Verdict{.line = gone_line(crew_, 0, why),
                     .code = static_cast<int>(ExitCode::kInternal),
                     .voice = Verdict::Voice::kLowestSurvivor,
                     .flight = true,
                     .wait = crew_.pace.farewell};
}

void Spoke::beat() {
  if (!center_) return;
  center_->flush();
  const Status& own = crew_.table.status(crew_.own());
  if (pulse_.due(own, crew_.clock.now(), crew_.keepalive())) center_->send_if_idle(Heartbeat{own});
}

std::optional<Verdict> Spoke::judge(bool on_beat) {
  if (verdict_) return verdict_;
  if (crew_.failure) return own_failure();
  if (!on_beat) return std::nullopt;
  if (center_) return silent_center();
  return hang_verdict(crew_, {view(crew_.own())});
}

// Told once; after that rank 0 has some time to end the job.
std::optional<Verdict> Spoke::own_failure() {
  if (center_ && !failure_told_) center_->send(*crew_.failure);
  failure_told_ = true;
  if (center_ && crew_.clock.now() - crew_.failed_at < crew_.pace.answer) return std::nullopt;
  return Verdict{.line = failure_line(crew_, crew_.own(), crew_.failure->text),
                 .code = crew_.failure->code};
}

// Only rank 0 hears all ranks; the others hear rank 0, and take it for hung when it says nothing
// for longer than it, or a rank that is late by now, may stand still.
std::optional<Verdict> Spoke::silent_center() const {
  const RankView center = view(0), own = view(crew_.own());
  const std::array both{center, own};
  const std::optional<milliseconds> deadline = shortest_late(both, crew_.deadlines.get());
  if (!deadline || center.silent <= std::max(*deadline, crew_.silence())) return std::nullopt;
  std::optional<Verdict> verdict = hang_verdict(crew_, {center, own});
  if (!verdict) return verdict;
  verdict->voice = Verdict::Voice::kLowestSurvivor;
  verdict->wait = 3 * crew_.pace.beat;  // the others find out within two
  return verdict;
}

// Only of what this rank found out: should rank 0 wake up, it must not take this rank's end for the
// cause of all.
void Spoke::tell(const Verdict& verdict) {
  if (!center_ || verdict.voice == Verdict::Voice::kSaidAlready) return;
  center_->send(End{.code = verdict.code, .flight = verdict.flight, .text = verdict.line});
  center_->finish();
}

void Spoke::leave() {
  if (!center_) return;
  center_->send(Goodbye{});
  center_->finish();
  const auto end = AwakeClock::Base::now() + crew_.pace.answer;
  for (auto left = crew_.pace.answer; left > milliseconds::zero() && !center_->over();) {
    center_->flush();
    if (!center_->await(left)) return;
    left = std::chrono::ceil<milliseconds>(end - AwakeClock::Base::now());
  }
}

// Rank 0 waits for this side to close; this side just for the last bytes to go out.
void Spoke::drain(milliseconds limit) {
  if (!center_) return;
  if (center_->unsent()) wait_for(center_->fd(), POLLOUT, limit);
  center_->flush();
  center_->read();
}

}  // namespace trireme::comm::control
