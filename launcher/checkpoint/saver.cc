#include "launcher/checkpoint/saver.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/checkpoint/finite.h"
#include "launcher/checkpoint/shard_writer.h"
#include "launcher/checkpoint/state.h"

namespace trireme::launcher {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <typename T>
bool ready(const std::future<T>& result) {
  return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

}  // namespace

Saver::Saver(comm::Communicator& group, core::Session& session, core::Device& device,
             CheckpointStore store, ManifestInfo info, SaverOptions options,
             std::map<int64_t, double> judged)
    : group_(group),
      store_(std::move(store)),
      options_(std::move(options)),
      judged_(std::move(judged)) {
  manifest_.info = std::move(info);
  const std::vector<HeldBox> held = held_boxes(session);
  manifest_.plan = split_held(state_tensors(session.plan()), gather_holdings(group, held));
  std::vector<core::StateRange> ranges;
  for (const Piece& piece : manifest_.plan.shards[group.rank()])
    ranges.push_back(state_range(held, piece));
  snapshot_ = std::make_unique<Snapshot>(session, device, std::move(ranges));
}

Saver::~Saver() {
  if (work_.valid()) work_.wait();
  if (phase_ == Phase::kWriting && leads()) store_.abandon(temporary_);
}

void Saver::begin(const Counters& counters) {
  const Clock::time_point start = Clock::now();
  finish();
  began_ = start;
  report_ = {.step = counters.attempted_steps};
  manifest_.counters = counters;
  manifest_.plan.step = counters.attempted_steps;
  for (int shard = 0; shard < group_.size(); ++shard)
    report_.bytes += shard_bytes(manifest_.plan, shard);
  if (!open_folder()) return;
  snapshot_->begin();
  enter(Phase::kWriting, true, &Saver::write);
  snapshot_->take();
  report_.stall_ms = milliseconds_since(start);
  if (options_.wait) finish();
}

// Rank 0 makes the folder that all write into. False, everywhere, if it cannot.
bool Saver::open_folder() {
  const auto failure = try_together(group_, [&] {
    if (!leads()) return;
    store_.ensure_space(report_.bytes);
    temporary_ = store_.begin();
  });
  if (failure) {
    end(failure->message);
    return false;
  }
  temporary_ = broadcast_text(group_, temporary_.string(), 0);
  return true;
}

void Saver::enter(Phase phase, bool takes_part, void (Saver::*work)()) {
  phase_ = phase;
  if (takes_part) work_ = std::async(std::launch::async, work, this);
}

void Saver::write() {
  const Clock::time_point start = Clock::now();
  const CheckpointPlan& plan = manifest_.plan;
  const std::vector<Piece>& pieces = plan.shards[group_.rank()];
  ShardFile file(temporary_, group_.rank(), plan);
  for (size_t i = 0; i < pieces.size(); ++i)
    for (int64_t first = 0; first < snapshot_->ranges()[i].elements;) {
      const std::span<const float> values = snapshot_->read(i, first);
      if (!all_finite(values))
        throw SystemError(fmt::format("[checkpoint] {} holds values that are not finite",
                                      plan.key(pieces[i])));
      file.put(values.data(), std::ssize(values) * int64_t{sizeof(float)});
      first += std::ssize(values);
    }
  written_ = file.finish();
  report_.write_ms = milliseconds_since(start);
}

core::Votes Saver::votes() const {
  if (work_.valid() && ready(work_)) return {.save_done = 1};
  return {};
}

void Saver::advance(const core::Votes& sums) {
  if (phase_ != Phase::kIdle && sums.save_done >= (all_work() ? group_.size() : 1)) next();
}

bool Saver::finish() {
  while (phase_ != Phase::kIdle) next();
  return report_.committed() && last_committed_ == report_.step;
}

// Ends the phase, on all ranks, and enters the next.
void Saver::next() {
  const auto failure = try_together(group_, [this] {
    if (work_.valid()) work_.get();
  });
  if (failure) {
    if (phase_ == Phase::kWriting && leads()) store_.abandon(temporary_);
    const bool stands = phase_ == Phase::kVerifying;
    return end(failure->message + (stands ? set_aside() : ""));
  }
  switch (phase_) {
    case Phase::kIdle:
      return;
    case Phase::kWriting:
      gather();
      return enter(Phase::kCommitting, leads(), &Saver::commit);
    case Phase::kCommitting:
      return enter(Phase::kVerifying, true, &Saver::verify);
    case Phase::kVerifying:
      return enter(Phase::kPruning, leads(), &Saver::prune);
    case Phase::kPruning:
      return end("");
  }
}

// Records of different lengths, padded to the longest.
void Saver::gather() {
  std::vector<uint64_t> words = written_.words();
  int64_t longest = static_cast<int64_t>(words.size());
  group_.all_reduce(std::span(&longest, 1), core::ReduceOp::kMax, {}, "checkpoint");
  std::vector<int64_t> padded(words.begin(), words.end());
  padded.resize(static_cast<size_t>(longest));
  std::vector<int64_t> all(static_cast<size_t>(longest * group_.size()));
  group_.all_gather(padded.data(), all.data(), longest, core::DType::kI64, {}, "checkpoint");
  manifest_.shards.clear();
  for (int shard = 0; shard < group_.size(); ++shard) {
    const auto first = all.begin() + shard * longest;
    const int64_t blocks = block_count(shard_bytes(manifest_.plan, shard));
    manifest_.shards.push_back(ShardRecord::from_words({first, first + 3 + blocks}));
  }
}

void Saver::check_ownership() const {
  if (options_.owns_run && !options_.owns_run())
    throw SystemError(
        "[checkpoint] RUN/lock belongs to another run by now; nothing is committed or removed");
}

void Saver::commit() {
  try {
    check_ownership();
    store_.commit(temporary_, report_.step, encode(manifest_), text_of(manifest_));
  } catch (...) {
    store_.abandon(temporary_);
    throw;
  }
  report_.save_ms = milliseconds_since(began_);
}

void Saver::verify() {
  const Clock::time_point start = Clock::now();
  verify_shard(store_.folder() / CheckpointStore::name_of(report_.step), group_.rank(), written_);
  report_.verify_ms = milliseconds_since(start);
}

void Saver::prune() {
  if (!std::isnan(manifest_.counters.judged)) judged_[report_.step] = manifest_.counters.judged;
  try {
    check_ownership();
    store_.prune(options_.retention, best_first());
  } catch (const SystemError& error) {  // an old checkpoint too many is no failure
    report_.warning = error.what();
  }
}

// Takes what was committed and does not read back out of the way. Returns words on where it is.
std::string Saver::set_aside() const {
  if (!leads()) return "";
  try {
    return fmt::format("; it was set aside as {}", store_.set_aside(report_.step).string());
  } catch (const SystemError& error) {
    return fmt::format("; {}", error.what());
  }
}

std::vector<int64_t> Saver::best_first() const {
  std::vector<std::pair<double, int64_t>> order;
  for (const auto& [step, value] : judged_) order.emplace_back(value, step);
  std::ranges::sort(order);
  std::vector<int64_t> steps;
  for (const auto& [value, step] : order) steps.push_back(step);
  return steps;
}

void Saver::end(const std::string& failure) {
  phase_ = Phase::kIdle;
  report_.failure = failure;
  if (options_.wait) report_.stall_ms = milliseconds_since(began_);
  if (report_.committed()) last_committed_ = report_.step;
  if (leads() && options_.report) options_.report(report_);
  failures_ = report_.committed() ? 0 : failures_ + 1;
  if (failures_ < options_.max_failures) return;
  if (!leads()) throw PeerFailed(ExitCode::kInternal);
  throw AgreedFailure(
      fmt::format("{} checkpoints in a row could not be saved (checkpoint.max_failures); the last: "
                  "{}",
                  failures_, failure),
      ExitCode::kInternal);
}

}  // namespace trireme::launcher
