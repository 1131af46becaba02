#include "comm/control/star.h"

#include <fmt/format.h>

#include <algorithm>

#include "comm/control/hang_report.h"

namespace trireme::comm::control {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds Deadlines::*kFields[] = {&Deadlines::start, &Deadlines::first_step,
                                                &Deadlines::step,  &Deadlines::data,
                                                &Deadlines::eval,  &Deadlines::checkpoint};

// Lines from elsewhere stay one line, and move no cursor.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, ' ');
  return text;
}

}  // namespace

void SharedDeadlines::set(const Deadlines& deadlines) {
  for (size_t i = 0; i < kCount; ++i) milliseconds_[i] = (deadlines.*kFields[i]).count();
}

Deadlines SharedDeadlines::get() const {
  Deadlines deadlines;
  for (size_t i = 0; i < kCount; ++i) deadlines.*kFields[i] = milliseconds(milliseconds_[i]);
  return deadlines;
}

Crew::Crew(Roster who, const ControlPace& how_fast)
    : roster(std::move(who)),
      pace(how_fast),
      clock(4 * how_fast.beat),
      table(roster.size(), clock.now()) {}

// A rank that stops is late one deadline after its last step, and was last heard up to a keepalive
// and a beat after that: silent for 3 keepalives by then, if the deadline is 5.
milliseconds Crew::keepalive() const {
  const Deadlines now = deadlines.get();
  milliseconds keepalive = pace.keepalive;
  for (const auto field : kFields)
    if (now.*field > milliseconds::zero()) keepalive = std::min(keepalive, now.*field / 5);
  return std::max(keepalive, pace.beat);
}

std::string gone_line(const Crew& crew, int rank, const std::string& why) {
  return one_line(fmt::format("{} is gone: {} while it was in {}", crew.roster.describe(rank), why,
                              place_of(crew.table.status(rank))));
}

std::string failure_line(const Crew& crew, int rank, const std::string& text) {
  if (crew.roster.size() == 1) return one_line(text);
  return one_line(fmt::format("rank {}/{} on {}: {}", rank, crew.roster.size(),
                              crew.roster.members.at(rank).host, text));
}

std::optional<Verdict> hang_verdict(const Crew& crew, const std::vector<RankView>& ranks) {
  const std::optional<HangReport> report =
      find_hang(ranks, crew.roster, crew.deadlines.get(), crew.silence());
  if (!report) return std::nullopt;
  return Verdict{
      .line = one_line(report->line), .code = static_cast<int>(ExitCode::kHang), .flight = true};
}

bool Pulse::due(const Status& status, AwakeClock::Time now, milliseconds keepalive) {
  if (last_ && last_->at_same_place(status) && now - sent_ < keepalive) return false;
  last_ = status;
  sent_ = now;
  return true;
}

}  // namespace trireme::comm::control
