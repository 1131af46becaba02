// All ranks of a job, from its start to its end. Owns MPI and the comm thread.
//
// A process that nobody launched is a world of one rank and never initialises MPI. main makes one
// World, outside of its try block, and communicators die before it. After a failure main calls
// abort(code); a destructor that runs because of one leaves MPI_Finalize out, since peers may never
// come to it.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/engine.h"
#include "comm/launch.h"

namespace trireme::comm {

class World {
 public:
  // Throws InvalidArgument if the launcher says N ranks and MPI finds another number, with what to
  // do; SystemError if MPI cannot start. `largest_mpi_count` is for tests; 0: the default.
  explicit World(const Launch& launch = detect_launch(), int64_t largest_mpi_count = 0);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return communicator_->rank(); }
  int size() const { return communicator_->size(); }
  int local_rank() const { return host_->rank(); }  // among the ranks of this host
  int local_size() const { return host_->size(); }
  std::string describe() const;  // "4 ranks by mpirun (Open MPI), Open MPI v4.1.4"

  Communicator& communicator() { return *communicator_; }  // all ranks, on CPUs
  Communicator& host_group() { return *host_; }            // the ranks of this host, on CPUs
  Engine* engine() { return engine_.get(); }               // null without MPI

  // The CUDA index of the GPU for this rank (comm/local_device.h). Collective over the host's
  // ranks; an error of one is an error of all. With `share_gpu`, call it before NCCL is used.
  int device_index(bool share_gpu);

  // Ends all processes of the job with `code` within seconds, from any thread of any rank.
  [[noreturn]] void abort(int code) noexcept;

 private:
  Launch launch_;
  std::shared_ptr<Engine> engine_;  // null without MPI
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Communicator> host_;
  int exceptions_;
};

}  // namespace trireme::comm
