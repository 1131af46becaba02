#include "tests/comm/suite.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>

#include "comm/group_transport.h"
#include "tests/comm/values.h"

namespace trireme::comm {
namespace {

using core::CpuStream;

constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,
                             DType::kI32, DType::kI64, DType::kU8};
constexpr ReduceOp kOps[] = {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin};
constexpr int64_t kCounts[] = {0, 1, 3, 1021};

// The plain loop that every reduction is held against.
double reduced(int ranks, int64_t i, ReduceOp op) {
  double result = value_at(0, i);
  for (int r = 1; r < ranks; ++r) {
    const double x = value_at(r, i);
    if (op == ReduceOp::kSum) result += x;
    if (op == ReduceOp::kMax) result = std::max(result, x);
    if (op == ReduceOp::kMin) result = std::min(result, x);
  }
  return result;
}

void expect_reduced(Values& got, int64_t begin, int ranks, ReduceOp op, const std::string& what) {
  for (int64_t i = 0; i < got.count(); ++i) {
    const double want = reduced(ranks, begin + i, op);
    expect(got.get(i) == want, "{}: element {} is {}, not {}", what, i, got.get(i), want);
  }
  expect(got.guards_whole(), "{}: wrote outside its buffer", what);
}

void expect_values(Values& got, int64_t begin, int64_t count, int rank, int64_t offset,
                   const std::string& what) {
  for (int64_t i = 0; i < count; ++i)
    expect(got.get(begin + i) == value_at(rank, offset + i), "{}: element {} is {}, not {}", what,
           begin + i, got.get(begin + i), value_at(rank, offset + i));
  expect(got.guards_whole(), "{}: wrote outside its buffer", what);
}

// Calls body(dtype, count, what) for every dtype and length.
template <typename Body>
void for_each_shape(const char* name, const Body& body) {
  for (const DType dtype : kDTypes)
    for (const int64_t count : kCounts)
      body(dtype, count, fmt::format("{} {} {}", name, core::name_of(dtype), count));
  body(DType::kF32, int64_t{200'003}, fmt::format("{} f32 200003", name));
}

void all_reduce(Communicator& comm) {
  for (const ReduceOp op : kOps)
    for_each_shape("all_reduce", [&](DType dtype, int64_t count, const std::string& what) {
      Values send(dtype, count, comm.rank()), recv(dtype, count);
      comm.all_reduce(send.data(), recv.data(), count, dtype, op, {});
      expect_reduced(recv, 0, comm.size(), op, what);
      expect_values(send, 0, count, comm.rank(), 0, what + ", what was sent");
      comm.all_reduce(send.data(), send.data(), count, dtype, op, {});
      expect_reduced(send, 0, comm.size(), op, what + " in place");
    });
}

void reduce_scatter(Communicator& comm) {
  const int n = comm.size(), me = comm.rank();
  for (const ReduceOp op : kOps)
    for_each_shape("reduce_scatter", [&](DType dtype, int64_t count, const std::string& what) {
      Values send(dtype, count * n, me), recv(dtype, count);
      comm.reduce_scatter(send.data(), recv.data(), count, dtype, op, {});
      expect_reduced(recv, me * count, n, op, what);
      expect_values(send, 0, count * n, me, 0, what + ", what was sent");
      comm.reduce_scatter(send.data(), send.at(me * count), count, dtype, op, {});
      for (int64_t i = 0; i < count; ++i)
        expect(send.get(me * count + i) == recv.get(i), "{} in place: element {}", what, i);
      expect(send.guards_whole(), "{} in place: wrote outside its buffer", what);
    });
}

void all_gather(Communicator& comm) {
  const int n = comm.size(), me = comm.rank();
  for_each_shape("all_gather", [&](DType dtype, int64_t count, const std::string& what) {
    Values send(dtype, count, me), recv(dtype, count * n), place(dtype, count * n);
    comm.all_gather(send.data(), recv.data(), count, dtype, {});
    for (int64_t i = 0; i < count; ++i) place.set(me * count + i, value_at(me, i));
    comm.all_gather(place.at(me * count), place.data(), count, dtype, {});
    for (int r = 0; r < n; ++r) {
      expect_values(recv, r * count, count, r, 0, what);
      expect_values(place, r * count, count, r, 0, what + " in place");
    }
  });
}

void broadcast(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root)
    for_each_shape("broadcast", [&](DType dtype, int64_t count, const std::string& what) {
      Values values(dtype, count, comm.rank()), recv(dtype, count);
      comm.broadcast(values.data(), recv.data(), count, dtype, root, {});
      expect_values(recv, 0, count, root, 0, what);
      comm.broadcast(values.data(), values.data(), count, dtype, root, {});
      expect_values(values, 0, count, root, 0, what + " in place");
    });
}

void all_to_all(Communicator& comm) {
  const int n = comm.size(), me = comm.rank();
  for_each_shape("all_to_all", [&](DType dtype, int64_t count, const std::string& what) {
    Values send(dtype, count * n, me), recv(dtype, count * n);
    comm.all_to_all(send.data(), recv.data(), count, dtype, {});
    for (int r = 0; r < n; ++r) expect_values(recv, r * count, count, r, me * count, what);
  });
}

// Every rank sends to the next and receives from the one before, on a stream each.
void send_recv(Communicator& comm) {
  const int n = comm.size(), me = comm.rank();
  if (n == 1) return;
  const int next = (me + 1) % n, before = (me + n - 1) % n;
  for_each_shape("send", [&](DType dtype, int64_t count, const std::string& what) {
    Values first(dtype, count, me), second(dtype, count, me, 7);
    Values got_first(dtype, count), got_second(dtype, count);
    CpuStream up, down;
    comm.send(first.data(), count, dtype, next, core::stream_of(up));
    comm.send(second.data(), count, dtype, next, core::stream_of(up));
    comm.recv(got_first.data(), count, dtype, before, core::stream_of(down));
    comm.recv(got_second.data(), count, dtype, before, core::stream_of(down));
    core::wait_for(down, down.submitted);
    core::wait_for(up, up.submitted);
    expect_values(got_first, 0, count, before, 0, what);
    expect_values(got_second, 0, count, before, 7, what + ", the second");
  });
}

// Blocking calls in an order that works without buffering: even ranks send first.
void send_recv_blocking(Communicator& comm) {
  const int partner = comm.rank() ^ 1;
  if (partner >= comm.size()) return;
  Values mine(DType::kF64, 501, comm.rank()), theirs(DType::kF64, 501);
  for (int turn = 0; turn < 2; ++turn)
    if ((comm.rank() & 1) == turn)
      comm.send(mine.data(), mine.count(), DType::kF64, partner, {});
    else
      comm.recv(theirs.data(), theirs.count(), DType::kF64, partner, {});
  expect_values(theirs, 0, 501, partner, 0, "blocking recv");
}

// Three groups of the same ranks, a stream each; every rank enqueues in an interleaving of its own.
void several_streams(Communicator& comm) {
  constexpr int kStreams = 3, kCalls = 20;
  std::vector<std::unique_ptr<Communicator>> groups;
  for (int s = 0; s < kStreams; ++s) groups.push_back(comm.split(0, comm.rank()));
  std::array<CpuStream, kStreams> streams;
  std::vector<std::vector<Values>> values(kStreams);
  const auto count_of = [](int s, int k) { return (s * 37 + k * 101) % 3001 + 1; };
  for (int s = 0; s < kStreams; ++s)
    for (int k = 0; k < kCalls; ++k)
      values[s].emplace_back(DType::kF32, count_of(s, k), comm.rank(), s * 1000 + k);
  std::vector<int> turns;
  for (int i = 0; i < kStreams * kCalls; ++i) turns.push_back(i % kStreams);
  std::shuffle(turns.begin(), turns.end(), std::mt19937(comm.rank() + 1));
  std::array<int, kStreams> next{};
  for (const int s : turns) {
    Values& v = values[s][next[s]++];
    groups[s]->all_reduce(v.data(), v.data(), v.count(), DType::kF32, ReduceOp::kSum,
                          core::stream_of(streams[s]), "interleaved");
  }
  for (CpuStream& stream : streams) core::wait_for(stream, stream.submitted);
  for (int s = 0; s < kStreams; ++s)
    for (int k = 0; k < kCalls; ++k)
      expect_reduced(values[s][k], s * 1000 + k, comm.size(), ReduceOp::kSum, "interleaved");
}

// One group over two streams: calls meet in the order of submission, whichever stream gets on
// first. Both streams are held until all is queued, and odd ranks' engines know them the other way
// round, so that an engine that starts what it sees first pairs different calls.
void one_group_two_streams(Communicator& comm) {
  CpuStream slow, fast;
  const std::unique_ptr<Communicator> hold[] = {comm.split(0, comm.rank()),
                                                comm.split(0, comm.rank())};
  int32_t held[] = {0, 0};
  if (comm.rank() == comm.size() - 1) std::this_thread::sleep_for(std::chrono::milliseconds(30));
  for (const int turn : {0, 1}) {
    const int s = (turn + comm.rank()) % 2;
    hold[s]->all_reduce(std::span(&held[s], 1), ReduceOp::kSum,
                        core::stream_of(s == 0 ? slow : fast));
  }
  std::vector<Values> values;
  for (int k = 0; k < 12; ++k)
    values.emplace_back(DType::kI32, k % 2 == 0 ? 60'001 : 5, comm.rank(), k);
  for (int k = 0; k < 12; ++k)
    comm.all_reduce(values[k].data(), values[k].data(), values[k].count(), DType::kI32,
                    ReduceOp::kSum, core::stream_of(k % 2 == 0 ? slow : fast));
  core::wait_for(slow, slow.submitted);
  core::wait_for(fast, fast.submitted);
  for (int k = 0; k < 12; ++k)
    expect_reduced(values[k], k, comm.size(), ReduceOp::kSum, "two streams");
}

// Calls of one stream use each other's results without the host.
void stream_order(Communicator& comm) {
  const int n = comm.size();
  constexpr int64_t kCount = 777;
  CpuStream stream;
  Values x(DType::kF64, kCount * n, comm.rank()), part(DType::kF64, kCount);
  Values whole(DType::kF64, kCount * n);
  comm.reduce_scatter(x.data(), part.data(), kCount, DType::kF64, ReduceOp::kSum,
                      core::stream_of(stream));
  comm.all_gather(part.data(), whole.data(), kCount, DType::kF64, core::stream_of(stream));
  comm.broadcast(whole.data(), whole.data(), kCount * n, DType::kF64, n - 1,
                 core::stream_of(stream));
  core::wait_for(stream, stream.submitted);
  expect_reduced(whole, 0, n, ReduceOp::kSum, "reduce_scatter, all_gather, broadcast");
}

// More calls than a stream's queue holds.
void full_queue(Communicator& comm) {
  CpuStream stream;
  std::vector<int64_t> sums(700);
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] = static_cast<int64_t>(i) * (comm.rank() + 1);
    comm.all_reduce(std::span(&sums[i], 1), ReduceOp::kSum, core::stream_of(stream));
  }
  core::wait_for(stream, stream.submitted);
  for (size_t i = 0; i < sums.size(); ++i)
    expect(sums[i] == static_cast<int64_t>(i) * comm.size() * (comm.size() + 1) / 2,
           "call {} of a full queue gave {}", i, sums[i]);
}

void split(Communicator& comm) {
  const int color = comm.rank() % 2;
  const std::unique_ptr<Communicator> half = comm.split(color, -comm.rank());  // reversed
  std::vector<int> members;
  for (int r = comm.size() - 1; r >= 0; --r)
    if (r % 2 == color) members.push_back(r);
  expect(half->size() == static_cast<int>(members.size()), "a half of {} ranks", half->size());
  expect(members[half->rank()] == comm.rank(), "the key does not order the ranks");
  int64_t sum = comm.rank() + 1;
  half->all_reduce(std::span(&sum, 1), ReduceOp::kSum);
  const int64_t want = std::accumulate(members.begin(), members.end(), int64_t{0}) +
                       static_cast<int64_t>(members.size());
  expect(sum == want, "a half's sum is {}, not {}", sum, want);

  const std::unique_ptr<Communicator> alone = half->split(half->rank(), 0);
  expect(alone->size() == 1, "a group of one has {} ranks", alone->size());
  std::vector<float> from = {1.5f, 2.5f}, to(2);
  alone->all_gather(std::span<const float>(from), std::span(to));
  expect(from == to, "all_gather of one rank is a copy");

  const std::unique_ptr<Communicator> none = comm.split(comm.rank() == 0 ? -1 : 3, 0);
  expect((none == nullptr) == (comm.rank() == 0), "a negative color is no group");
}

// Rounding differs with the order of a sum: the order must not differ by rank or by run.
void same_bits(Communicator& comm) {
  std::vector<float> first(5003);
  std::mt19937 random(comm.rank() + 17);
  std::normal_distribution<float> normal;
  for (float& x : first) x = normal(random) * 1e3f;
  std::vector<float> second = first;
  comm.all_reduce(std::span(first), ReduceOp::kSum);
  comm.all_reduce(std::span(second), ReduceOp::kSum);
  expect(std::memcmp(first.data(), second.data(), first.size() * 4) == 0, "two runs differ");
  std::vector<float> roots = first;
  comm.broadcast(std::span(roots), 0);
  expect(std::memcmp(first.data(), roots.data(), first.size() * 4) == 0, "ranks differ");
}

template <typename Call>
void expect_refused(const Call& call, const std::string& part) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    expect(std::string(error.what()).find(part) != std::string::npos, "'{}' lacks '{}'",
           error.what(), part);
    return;
  }
  expect(false, "not refused: {}", part);
}

void refusals(Communicator& comm) {
  float x[4] = {};
  const DType f32 = DType::kF32;
  expect_refused([&] { comm.all_reduce(x, x, -1, f32, ReduceOp::kSum, {}); },
                 "[all_reduce] expects count >= 0, got -1");
  expect_refused([&] { comm.all_reduce(x, x + 1, 2, f32, ReduceOp::kSum, {}); }, "overlap");
  expect_refused([&] { comm.all_reduce(x, nullptr, 2, f32, ReduceOp::kSum, {}); }, "null pointer");
  expect_refused([&] { comm.all_reduce(x, x, 2, DType::kNone, ReduceOp::kSum, {}); }, "dtype");
  expect_refused([&] { comm.broadcast(x, x, 2, f32, comm.size(), {}); }, "expects a peer in [0, ");
  expect_refused([&] { comm.send(x, 2, f32, comm.rank(), {}); }, "another rank");
  if (comm.size() > 1) expect_refused([&] { comm.all_to_all(x, x, 1, f32, {}); }, "overlap");
  expect_refused([&] { comm.all_gather(std::span<const float>(x, 1), std::span<float>(x, 0)); },
                 fmt::format("expects a span of {} elements, got 0", comm.size()));
  const Stream gpu{x, core::DeviceKind::kCuda};
  if (comm.transport() != "self")
    expect_refused([&] { comm.all_reduce(x, x, 2, f32, ReduceOp::kSum, gpu); }, "CPU stream");
  barrier(comm);  // nothing refused was enqueued
}

void group_transport(Communicator& comm) {
  const std::unique_ptr<Communicator> reversed = comm.split(0, -comm.rank());
  GroupTransport transport;
  transport.add(0, comm);
  transport.add(2, *reversed);
  CpuStream stream;
  Values values(DType::kF32, 99, comm.rank()), other(DType::kF32, 99, comm.rank());
  transport.enqueue(
      {.dtype = DType::kF32, .group = 0, .send = values.data(), .recv = values.data(), .count = 99},
      core::stream_of(stream));
  transport.enqueue({.kind = CollectiveKind::kBroadcast,
                     .dtype = DType::kF32,
                     .group = 2,
                     .peer = 0,
                     .send = other.data(),
                     .recv = other.data(),
                     .count = 99},
                    core::stream_of(stream));
  core::wait_for(stream, stream.submitted);
  expect_reduced(values, 0, comm.size(), ReduceOp::kSum, "group 0");
  expect_values(other, 0, 99, comm.size() - 1, 0, "group 2");
  expect_refused([&] { transport.enqueue({.group = 1, .count = 0}, {}); }, "got group 1");
}

constexpr SuiteCase kSuite[] = {
    {"all_reduce", all_reduce},
    {"reduce_scatter", reduce_scatter},
    {"all_gather", all_gather},
    {"broadcast", broadcast},
    {"all_to_all", all_to_all},
    {"send_recv", send_recv},
    {"send_recv_blocking", send_recv_blocking},
    {"several_streams", several_streams},
    {"one_group_two_streams", one_group_two_streams},
    {"stream_order", stream_order},
    {"full_queue", full_queue},
    {"split", split},
    {"same_bits", same_bits},
    {"refusals", refusals},
    {"group_transport", group_transport},
};

}  // namespace

std::span<const SuiteCase> suite() { return kSuite; }

}  // namespace trireme::comm
