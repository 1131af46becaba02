#include "comm/communicator.h"

#include "core/base/error.h"

namespace trireme::comm {
namespace {

const char* at(const void* base, int64_t elements, DType dtype) {
  return static_cast<const char*>(base) + elements * core::size_of(dtype);
}

bool is_point_to_point(CollectiveKind kind) {
  return kind == CollectiveKind::kSend || kind == CollectiveKind::kRecv;
}

void check_peer(const CollectiveCall& call, int rank, int size) {
  if (call.peer < 0 || call.peer >= size)
    fail("[{}] expects a peer in [0, {}), got {}", name_of(call.kind), size, call.peer);
  if (is_point_to_point(call.kind) && call.peer == rank)
    fail("[{}] expects another rank as peer, got this rank ({})", name_of(call.kind), rank);
}

// Overlaps that are neither apart nor one of the in-place forms give wrong numbers silently.
void check_overlap(const CollectiveCall& call, int rank, int size) {
  if (is_point_to_point(call.kind) || call.kind == CollectiveKind::kBroadcast) return;
  const bool scatter = call.kind == CollectiveKind::kReduceScatter;
  const bool gather = call.kind == CollectiveKind::kAllGather;
  const bool exchange = call.kind == CollectiveKind::kAllToAll;
  const int64_t sent = scatter || exchange ? call.count * size : call.count;
  const int64_t received = gather || exchange ? call.count * size : call.count;
  const char* send = static_cast<const char*>(call.send);
  const char* recv = static_cast<const char*>(call.recv);
  const bool apart = at(send, sent, call.dtype) <= recv || at(recv, received, call.dtype) <= send;
  const bool in_place = scatter    ? recv == at(send, rank * call.count, call.dtype)
                        : gather   ? send == at(recv, rank * call.count, call.dtype)
                        : exchange ? size == 1 && send == recv
                                   : send == recv;
  if (!apart && !in_place)
    fail("[{}] expects send and recv apart or in place (comm/communicator.h), got an overlap",
         name_of(call.kind));
}

void validate(const CollectiveCall& call, int rank, int size) {
  if (call.count < 0) fail("[{}] expects count >= 0, got {}", name_of(call.kind), call.count);
  if (call.dtype == DType::kNone) fail("[{}] expects a dtype, got none", name_of(call.kind));
  if (is_point_to_point(call.kind) || call.kind == CollectiveKind::kBroadcast)
    check_peer(call, rank, size);
  if (call.count == 0) return;
  const bool sends = call.kind != CollectiveKind::kRecv &&
                     (call.kind != CollectiveKind::kBroadcast || call.peer == rank);
  const bool receives = call.kind != CollectiveKind::kSend;
  if ((sends && call.send == nullptr) || (receives && call.recv == nullptr))
    fail("[{}] expects a buffer for {} elements, got a null pointer", name_of(call.kind),
         call.count);
  check_overlap(call, rank, size);
}

}  // namespace

std::string_view name_of(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kAllReduce:
      return "all_reduce";
    case CollectiveKind::kReduceScatter:
      return "reduce_scatter";
    case CollectiveKind::kAllGather:
      return "all_gather";
    case CollectiveKind::kBroadcast:
      return "broadcast";
    case CollectiveKind::kAllToAll:
      return "all_to_all";
    case CollectiveKind::kSend:
      return "send";
    case CollectiveKind::kRecv:
      return "recv";
  }
  return "?";
}

std::string describe(const CollectiveCall& call, int size) {
  const std::string what = call.what[0] == '\0' ? "" : fmt::format(" '{}'", call.what);
  std::string peer;
  if (call.kind == CollectiveKind::kSend) peer = fmt::format(" to rank {}", call.peer);
  if (call.kind == CollectiveKind::kRecv) peer = fmt::format(" from rank {}", call.peer);
  if (call.kind == CollectiveKind::kBroadcast) peer = fmt::format(" from root {}", call.peer);
  return fmt::format("{}{} of {} {}{} in a group of {}", name_of(call.kind), what, call.count,
                     core::name_of(call.dtype), peer, size);
}

void Communicator::enqueue(const CollectiveCall& call, Stream stream) {
  validate(call, rank_, size_);
  if (call.count > 0) do_enqueue(call, stream);
}

void Communicator::all_reduce(const void* send, void* recv, int64_t count, DType dtype, ReduceOp op,
                              Stream stream, const char* what) {
  enqueue({.kind = CollectiveKind::kAllReduce,
           .op = op,
           .dtype = dtype,
           .send = send,
           .recv = recv,
           .count = count,
           .what = what},
          stream);
}

void Communicator::reduce_scatter(const void* send, void* recv, int64_t count, DType dtype,
                                  ReduceOp op, Stream stream, const char* what) {
  enqueue({.kind = CollectiveKind::kReduceScatter,
           .op = op,
           .dtype = dtype,
           .send = send,
           .recv = recv,
           .count = count,
           .what = what},
          stream);
}

void Communicator::all_gather(const void* send, void* recv, int64_t count, DType dtype,
                              Stream stream, const char* what) {
  enqueue({.kind = CollectiveKind::kAllGather,
           .dtype = dtype,
           .send = send,
           .recv = recv,
           .count = count,
           .what = what},
          stream);
}

void Communicator::broadcast(const void* send, void* recv, int64_t count, DType dtype, int root,
                             Stream stream, const char* what) {
  enqueue({.kind = CollectiveKind::kBroadcast,
           .dtype = dtype,
           .peer = root,
           .send = send,
           .recv = recv,
           .count = count,
           .what = what},
          stream);
}

void Communicator::all_to_all(const void* send, void* recv, int64_t count, DType dtype,
                              Stream stream, const char* what) {
  enqueue({.kind = CollectiveKind::kAllToAll,
           .dtype = dtype,
           .send = send,
           .recv = recv,
           .count = count,
           .what = what},
          stream);
}

void Communicator::send(const void* data, int64_t count, DType dtype, int peer, Stream stream,
                        const char* what) {
  enqueue({.kind = CollectiveKind::kSend,
           .dtype = dtype,
           .peer = peer,
           .send = data,
           .count = count,
           .what = what},
          stream);
}

void Communicator::recv(void* data, int64_t count, DType dtype, int peer, Stream stream,
                        const char* what) {
  enqueue({.kind = CollectiveKind::kRecv,
           .dtype = dtype,
           .peer = peer,
           .recv = data,
           .count = count,
           .what = what},
          stream);
}

void Communicator::check_sizes(std::string_view name, int64_t got, int64_t expected) {
  if (got != expected) fail("[{}] expects a span of {} elements, got {}", name, expected, got);
}

void barrier(Communicator& communicator) {
  int32_t token = 0;
  communicator.all_reduce(std::span(&token, 1), ReduceOp::kMax, {}, "barrier");
}

}  // namespace trireme::comm
