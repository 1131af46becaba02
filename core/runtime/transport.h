// What a running program asks of the outside world: collectives by group NUMBER and peer NUMBER.
//
// Declared here and implemented in comm, so that core has never heard of MPI, NCCL or a rank's
// name. Calls enqueue on `stream` and return; calls of one stream run in order, and every member
// of a group makes the same calls in the same order.
#pragma once

#include <cstdint>

#include "core/base/dtype.h"
#include "core/runtime/stream.h"

namespace trireme::core {

enum class CollectiveKind : uint8_t {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kBroadcast,
  kAllToAll,
  kSend,
  kRecv
};
enum class ReduceOp : uint8_t { kSum, kMax, kMin };

struct CollectiveCall {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  ReduceOp op = ReduceOp::kSum;
  DType dtype = DType::kF32;
  int group = 0;
  int peer = 0;  // root of a broadcast, the other end of a send or recv
  const void* send = nullptr;
  void* recv = nullptr;   // may equal send for all_reduce and broadcast
  int64_t count = 0;      // elements; per rank for reduce_scatter (received), all_gather (sent)
                          // and all_to_all (sent to each)
  const char* what = "";  // "bucket 3", for reports; outlives the call
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual void enqueue(const CollectiveCall& call, Stream stream) = 0;
};

}  // namespace trireme::core
