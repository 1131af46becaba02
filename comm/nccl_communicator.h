// Ranks on GPUs, over NCCL. Compiled with CUDA only; made by make_nccl_communicator (comm/gpu.h).
//
// Communicators are non-blocking (ncclConfig_t.blocking = 0): each NCCL call may go on in the
// background, so it is polled until a deadline of ours, and a peer that is gone is an error instead
// of a hang. Failures of the transport show up at `check`, which the run's watchdog calls; the
// stream of a broken communicator never gets on until `abort`.
#pragma once

#include <nccl.h>

#include <chrono>
#include <mutex>
#include <source_location>

#include "comm/communicator.h"

namespace trireme::comm {

// Throws SystemError "[nccl] what: the library's words".
void check(ncclResult_t status, ncclComm_t comm, const std::string& what,
           std::source_location where = std::source_location::current());

class NcclCommunicator final : public Communicator {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Takes over `comm`, which has been made and need not be ready yet.
  NcclCommunicator(ncclComm_t comm, int rank, int size, int device, Milliseconds deadline);
  ~NcclCommunicator() override;

  // Waits until all ranks have joined. Throws SystemError past the deadline.
  void wait_until_ready();

  std::string_view transport() const override { return "nccl"; }
  std::unique_ptr<Communicator> split(int color, int key) override;
  void check() override;
  void abort(std::string_view why) noexcept override;

 protected:
  void do_enqueue(const CollectiveCall& call, Stream stream) override;

 private:
  // Polls until `comm` is done with what was last asked of it. Returns its status, or
  // ncclInProgress past the deadline.
  ncclResult_t settle(ncclComm_t comm, ncclResult_t status) const;
  // The same, and throws unless it succeeded.
  void require(ncclComm_t comm, ncclResult_t status, const std::string& what,
               std::source_location where = std::source_location::current()) const;
  ncclResult_t start(const CollectiveCall& call, cudaStream_t stream);
  ncclResult_t all_to_all_as_messages(const CollectiveCall& call, cudaStream_t stream);
  void check_not_aborted();

  std::mutex mutex_;  // abort comes from the watchdog's thread
  ncclComm_t comm_;
  int device_;
  Milliseconds deadline_;
  std::string aborted_;  // why; empty while in use
};

}  // namespace trireme::comm
