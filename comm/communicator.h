// A group of ranks that call the same collectives in the same order.
//
// Ordering rule
//   - Calls enqueue on `stream` and return. Calls of one stream run in order and complete in
//     order; different streams run independently. On a CUDA stream the host never waits.
//   - On the CPU a null stream means: the call has finished when it returns.
//   - Every rank makes the same collectives on one communicator in the same order, whichever
//     streams they are put on; the k-th on one rank meets the k-th on the others. Sends to one
//     peer meet that peer's receives in order. A send may wait for its receive, so two ranks that
//     send to each other before they receive need two streams.
//   - Buffers belong to the call until the stream has passed it.
//   - With one rank a call is nothing, or a local copy.
//
// Buffers (n = size(), all counts in elements, 0 allowed and does nothing)
//   all_reduce      send[count]    recv[count]     recv == send allowed
//   reduce_scatter  send[n*count]  recv[count]     in place: recv == send + rank*count
//   all_gather      send[count]    recv[n*count]   in place: send == recv + rank*count
//   broadcast       send[count]    recv[count]     send is read on the root only; may equal recv
//   all_to_all      send[n*count]  recv[n*count]   never in place
//
// Throws InvalidArgument for calls that no rank could make, SystemError ("[mpi]", "[nccl]",
// "[thread]") for a transport that failed: the first failure is kept and thrown by every later
// call and wait.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/dtype.h"
#include "core/runtime/stream.h"
#include "core/runtime/transport.h"

namespace trireme::comm {

using core::CollectiveCall;
using core::CollectiveKind;
using core::DType;
using core::ReduceOp;
using core::Stream;

std::string_view name_of(CollectiveKind kind);

template <typename T>
constexpr DType kDTypeOf = DType::kNone;
template <>
inline constexpr DType kDTypeOf<float> = DType::kF32;
template <>
inline constexpr DType kDTypeOf<double> = DType::kF64;
template <>
inline constexpr DType kDTypeOf<int32_t> = DType::kI32;
template <>
inline constexpr DType kDTypeOf<int64_t> = DType::kI64;
template <>
inline constexpr DType kDTypeOf<uint8_t> = DType::kU8;

template <typename T>
concept Element = kDTypeOf<T>
!= DType::kNone;

class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  virtual std::string_view transport() const = 0;  // "self", "thread", "mpi", "nccl"

  // The one entry that all calls below go through; `call.group` is not looked at.
  void enqueue(const CollectiveCall& call, Stream stream);

  void all_reduce(const void* send, void* recv, int64_t count, DType dtype, ReduceOp op,
                  Stream stream, const char* what = "");
  void reduce_scatter(const void* send, void* recv, int64_t count, DType dtype, ReduceOp op,
                      Stream stream, const char* what = "");
  void all_gather(const void* send, void* recv, int64_t count, DType dtype, Stream stream,
                  const char* what = "");
  void broadcast(const void* send, void* recv, int64_t count, DType dtype, int root, Stream stream,
                 const char* what = "");
  void all_to_all(const void* send, void* recv, int64_t count, DType dtype, Stream stream,
                  const char* what = "");
  void send(const void* data, int64_t count, DType dtype, int peer, Stream stream,
            const char* what = "");
  void recv(void* data, int64_t count, DType dtype, int peer, Stream stream, const char* what = "");

  // The same in place, or on spans whose sizes are checked against the table above.
  template <Element T>
  void all_reduce(std::span<T> values, ReduceOp op, Stream stream = {}, const char* what = "") {
    all_reduce(values.data(), values.data(), ssize(values), kDTypeOf<T>, op, stream, what);
  }
  template <Element T>
  void reduce_scatter(std::span<const T> send, std::span<T> recv, ReduceOp op, Stream stream = {},
                      const char* what = "") {
    check_sizes("reduce_scatter", ssize(send), ssize(recv) * size());
    reduce_scatter(send.data(), recv.data(), ssize(recv), kDTypeOf<T>, op, stream, what);
  }
  template <Element T>
  void all_gather(std::span<const T> send, std::span<T> recv, Stream stream = {},
                  const char* what = "") {
    check_sizes("all_gather", ssize(recv), ssize(send) * size());
    all_gather(send.data(), recv.data(), ssize(send), kDTypeOf<T>, stream, what);
  }
  template <Element T>
  void broadcast(std::span<T> values, int root, Stream stream = {}, const char* what = "") {
    broadcast(values.data(), values.data(), ssize(values), kDTypeOf<T>, root, stream, what);
  }
  template <Element T>
  void all_to_all(std::span<const T> send, std::span<T> recv, Stream stream = {},
                  const char* what = "") {
    const int64_t count = ssize(send) / size();
    check_sizes("all_to_all", ssize(send), count * size());
    check_sizes("all_to_all", ssize(recv), count * size());
    all_to_all(send.data(), recv.data(), count, kDTypeOf<T>, stream, what);
  }
  template <Element T>
  void send(std::span<const T> values, int peer, Stream stream = {}, const char* what = "") {
    send(values.data(), ssize(values), kDTypeOf<T>, peer, stream, what);
  }
  template <Element T>
  void recv(std::span<T> values, int peer, Stream stream = {}, const char* what = "") {
    recv(values.data(), ssize(values), kDTypeOf<T>, peer, stream, what);
  }

  // Ranks of one color (>= 0) become a group, ordered by key and then by rank here. Null for a
  // negative color. Collective; waits for the work in flight; made before a run, never in a step.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

  // Throws the failure that happened since, if there was one. Any thread; never waits.
  virtual void check() {}

  // Gives the group up: calls in flight end with an error, here and, where the transport can reach
  // them, on the other ranks. Any thread.
  virtual void abort(std::string_view why) noexcept = 0;

 protected:
  Communicator(int rank, int size) : rank_(rank), size_(size) {}

  // A valid call with count > 0.
  virtual void do_enqueue(const CollectiveCall& call, Stream stream) = 0;

 private:
  template <typename T>
  static int64_t ssize(std::span<T> values) {
    return static_cast<int64_t>(values.size());
  }
  static void check_sizes(std::string_view name, int64_t got, int64_t expected);

  int rank_;
  int size_;
};

// Returns when every rank has come here. For groups of CPU ranks.
void barrier(Communicator& communicator);

// "all_reduce 'bucket 3' of 1000 f32 in a group of 4", for messages.
std::string describe(const CollectiveCall& call, int size);

}  // namespace trireme::comm
