#include "comm/thread_communicator.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "comm/reduce.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

enum Step { kStart, kArriving, kArrived, kReduced, kMoved };
constexpr int kReducedGate = 0;
constexpr int kMovedGate = 1;

const std::byte* at(const void* base, int64_t elements, DType dtype) {
  return static_cast<const std::byte*>(base) + elements * core::size_of(dtype);
}

std::byte* at(void* base, int64_t elements, DType dtype) {
  return static_cast<std::byte*>(base) + elements * core::size_of(dtype);
}

void copy(void* recv, const void* send, int64_t count, DType dtype) {
  if (recv != send && count > 0) std::memcpy(recv, send, count * core::size_of(dtype));
}

// The number of the round, send or receive that an operation is.
int64_t& number_of(Operation& operation) {
  return *reinterpret_cast<int64_t*>(operation.state.data());
}

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown error";
  }
}

}  // namespace

ThreadCommunicator::ThreadCommunicator(int rank, std::shared_ptr<ThreadGroup> group,
                                       std::shared_ptr<Engine> engine)
    : EngineCommunicator(rank, group->size(), std::move(engine)),
      group_(std::move(group)),
      inputs_(group_->size()) {}

ThreadCommunicator::~ThreadCommunicator() {
  retire();
  group_->depart(rank());
}

void ThreadCommunicator::abort(std::string_view why) noexcept {
  group_->fate().give_up(fmt::format("rank {}: {}", rank(), why));
  EngineCommunicator::abort(why);
}

std::unique_ptr<Communicator> ThreadCommunicator::split(int color, int key) {
  const std::array<int64_t, 2> mine = {color, key};
  std::vector<int64_t> all(2 * static_cast<size_t>(size()));
  all_gather(std::span<const int64_t>(mine), std::span(all), {}, "split");
  ++splits_;
  if (color < 0) return nullptr;
  std::vector<std::tuple<int64_t, int>> members;  // (key, rank here)
  for (int r = 0; r < size(); ++r)
    if (all[2 * r] == color) members.emplace_back(all[2 * r + 1], r);
  std::sort(members.begin(), members.end());
  const auto self = std::find(members.begin(), members.end(), std::tuple(int64_t{key}, rank()));
  const int count = static_cast<int>(members.size());
  return std::make_unique<ThreadCommunicator>(static_cast<int>(self - members.begin()),
                                              group_->subgroup(splits_, color, count),
                                              shared_engine());
}

bool ThreadCommunicator::advance(Operation& operation) {
  group_->fate().check();
  if (operation.call.kind == CollectiveKind::kSend) return advance_send(operation);
  if (operation.call.kind == CollectiveKind::kRecv) return advance_recv(operation);
  return advance_collective(operation);
}

bool ThreadCommunicator::advance_collective(Operation& operation) {
  const CollectiveCall& call = operation.call;
  int64_t& round = number_of(operation);
  switch (operation.step) {
    case kStart:
      round = ++rounds_;
      operation.step = kArriving;
      [[fallthrough]];
    case kArriving:
      if (!group_->arrive(round, rank(), call)) return false;
      operation.step = kArrived;
      [[fallthrough]];
    case kArrived:
      if (!group_->all_arrived(round, rank())) return false;
      move_data(round, call);
      group_->pass(round, kReducedGate);
      operation.step = kReduced;
      [[fallthrough]];
    case kReduced:
      if (!group_->all_passed(round, kReducedGate)) return false;
      if (call.kind == CollectiveKind::kAllReduce) collect_slices(round, call);
      group_->pass(round, kMovedGate);
      operation.step = kMoved;
      [[fallthrough]];
    default:
      if (!group_->all_passed(round, kMovedGate)) return false;
      group_->leave(round);
      return true;
  }
}

// Each rank writes its own memory only, and no part of it that another rank reads now.
void ThreadCommunicator::move_data(int64_t round, const CollectiveCall& call) {
  const auto reading = group_->fate().read_peers();
  const int me = rank();
  const int64_t n = call.count;
  switch (call.kind) {
    case CollectiveKind::kAllReduce: {
      const int64_t begin = slice_begin(me, n);
      return reduce(round, call, begin, slice_begin(me + 1, n) - begin,
                    at(call.recv, begin, call.dtype));
    }
    case CollectiveKind::kReduceScatter:
      return reduce(round, call, me * n, n, call.recv);
    case CollectiveKind::kAllGather:
      for (int r = 0; r < size(); ++r)
        copy(at(call.recv, r * n, call.dtype), group_->call_of(round, r).send, n, call.dtype);
      return;
    case CollectiveKind::kBroadcast:
      return copy(call.recv, group_->call_of(round, call.peer).send, n, call.dtype);
    case CollectiveKind::kAllToAll:
      for (int r = 0; r < size(); ++r)
        copy(at(call.recv, r * n, call.dtype),
             at(group_->call_of(round, r).send, me * n, call.dtype), n, call.dtype);
      return;
    case CollectiveKind::kSend:
    case CollectiveKind::kRecv:
      break;
  }
}

void ThreadCommunicator::reduce(int64_t round, const CollectiveCall& call, int64_t send_begin,
                                int64_t count, void* recv) {
  for (int r = 0; r < size(); ++r)
    inputs_[r] = at(group_->call_of(round, r).send, send_begin, call.dtype);
  reduce_in_order(inputs_, recv, 0, count, call.dtype, call.op);
}

void ThreadCommunicator::collect_slices(int64_t round, const CollectiveCall& call) {
  const auto reading = group_->fate().read_peers();
  for (int r = 0; r < size(); ++r) {
    const int64_t begin = slice_begin(r, call.count);
    const int64_t count = slice_begin(r + 1, call.count) - begin;
    copy(at(call.recv, begin, call.dtype), at(group_->call_of(round, r).recv, begin, call.dtype),
         count, call.dtype);
  }
}

bool ThreadCommunicator::advance_send(Operation& operation) {
  const int target = operation.call.peer;
  int64_t& number = number_of(operation);
  switch (operation.step) {
    case kStart:
      number = group_->next_send(rank(), target);
      operation.step = kArriving;
      [[fallthrough]];
    case kArriving:
      if (!group_->post(rank(), target, number, operation.call)) return false;
      operation.step = kArrived;
      [[fallthrough]];
    default:
      return group_->is_taken(rank(), target, number);
  }
}

bool ThreadCommunicator::advance_recv(Operation& operation) {
  const CollectiveCall& call = operation.call;
  int64_t& number = number_of(operation);
  if (operation.step == kStart) {
    number = group_->next_recv(call.peer, rank());
    operation.step = kArrived;
  }
  CollectiveCall sent;
  if (!group_->posted(call.peer, rank(), number, sent)) return false;
  if (sent.count != call.count || sent.dtype != call.dtype)
    throw SystemError(fmt::format("[thread] ranks disagree: rank {} calls {}, rank {} calls {}",
                                  rank(), describe(call, size()), call.peer,
                                  describe(sent, size())));
  {
    const auto reading = group_->fate().read_peers();
    copy(call.recv, sent.send, call.count, call.dtype);
  }
  group_->taken(call.peer, rank(), number);
  return true;
}

ThreadWorld::ThreadWorld(int size)
    : fate_(std::make_shared<ThreadFate>()), group_(std::make_shared<ThreadGroup>(size, fate_)) {}

std::unique_ptr<Communicator> ThreadWorld::communicator(int rank) {
  auto engine = std::make_shared<Engine>();
  engine->on_failure([fate = fate_, rank](const std::exception_ptr& error) {
    fate->give_up(fmt::format("rank {}: {}", rank, message_of(error)));
  });
  return std::make_unique<ThreadCommunicator>(rank, group_, std::move(engine));
}

}  // namespace trireme::comm
