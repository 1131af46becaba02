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
      session_(session),
      device_(device),
      store_(std::move(store)),
      options_(std::move(options)),
      judged_(std::move(judged)) {
  manifest_.info = std::move(info);
  const std::vector<HeldBox> held = held_boxes(session);
  manifest_.plan = split_held(state_tensors(session.plan()), gather_holdings(group, held));
  int64_t elements = 0;
  for (const Piece& piece : manifest_.plan.shards[group.rank()]) {
    ranges_.push_back(state_range(held, piece));
    elements += ranges_.back().elements;
  }
  buffer_ = {static_cast<float*>(device.allocate_host(elements * core::size_of(core::DType::kF32))),
             [&device](float* memory) { device.free_host(memory); }};
  const float* next = buffer_.get();
  for (const core::StateRange& range : ranges_) {
    pieces_.push_back(reinterpret_cast<const std::byte*>(next));
    next += range.elements;
  }
}

Saver::~Saver() {
  if (written_.valid()) written_.wait();
  if (committed_.valid()) committed_.wait();
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
  snapshot();
  phase_ = Phase::kWriting;
  written_ = std::async(std::launch::async, [this] { return write(); });
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

void Saver::snapshot() { session_.read_state(ranges_, buffer_.get()); }

// On the writing thread.
Saver::Written Saver::write() const {
  check_finite();
  Written written;
  Clock::time_point start = Clock::now();
  written.record = write_shard(temporary_, group_.rank(), manifest_.plan, pieces_);
  written.write_ms = milliseconds_since(start);
  start = Clock::now();
  verify_shard(temporary_, group_.rank(), written.record);
  written.verify_ms = milliseconds_since(start);
  return written;
}

void Saver::check_finite() const {
  const std::vector<Piece>& pieces = manifest_.plan.shards[group_.rank()];
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto* values = reinterpret_cast<const float*>(pieces_[i]);
    if (!all_finite({values, static_cast<size_t>(ranges_[i].elements)}))
      throw SystemError(fmt::format("[checkpoint] {} holds values that are not finite",
                                    manifest_.plan.key(pieces[i])));
  }
}

core::Votes Saver::votes() const {
  if (phase_ == Phase::kWriting && ready(written_)) return {.save_done = 1};
  if (phase_ == Phase::kCommitting && leads() && ready(committed_)) return {.save_done = 1};
  return {};
}

void Saver::advance(const core::Votes& sums) {
  if (phase_ == Phase::kWriting && sums.save_done >= group_.size())
    collect();
  else if (phase_ == Phase::kCommitting && sums.save_done >= 1)
    settle();
}

bool Saver::finish() {
  if (phase_ == Phase::kWriting) collect();
  if (phase_ == Phase::kCommitting) settle();
  return report_.committed() && last_committed_ == report_.step;
}

// Every rank has written, or failed to: the checksums go to rank 0.
void Saver::collect() {
  Written mine;
  const auto failure = try_together(group_, [&] { mine = written_.get(); });
  if (failure) {
    if (leads()) store_.abandon(temporary_);
    return end(failure->message);
  }
  report_.write_ms = mine.write_ms;
  report_.verify_ms = mine.verify_ms;
  gather(mine.record);
  phase_ = Phase::kCommitting;
  if (leads()) committed_ = std::async(std::launch::async, [this] { commit(); });
}

void Saver::settle() {
  const auto failure = try_together(group_, [&] {
    if (leads()) committed_.get();
  });
  end(failure ? failure->message : "");
}

// Records of different lengths, padded to the longest.
void Saver::gather(const ShardRecord& mine) {
  std::vector<uint64_t> words = mine.words();
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

// On rank 0's thread.
void Saver::commit() {
  try {
    if (options_.owns_run && !options_.owns_run())
      throw SystemError(
          "[checkpoint] RUN/lock belongs to another run by now; nothing is committed");
    store_.commit(temporary_, report_.step, encode(manifest_), text_of(manifest_));
  } catch (...) {
    store_.abandon(temporary_);
    throw;
  }
  if (!std::isnan(manifest_.counters.judged)) judged_[report_.step] = manifest_.counters.judged;
  try {
    store_.prune(options_.retention, best_first());
  } catch (const SystemError& error) {  // an old checkpoint too many is no failure
    report_.warning = error.what();
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
  report_.save_ms = milliseconds_since(began_);
  if (options_.wait) report_.stall_ms = report_.save_ms;
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
