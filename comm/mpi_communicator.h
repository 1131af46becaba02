// Ranks as processes, over MPI.
//
// Every MPI call is made on the engine's thread: MPI_Init too, so MPI_THREAD_FUNNELED is enough and
// the progress of nonblocking calls never competes with another thread. Calls are nonblocking
// (MPI_Iallreduce, MPI_Isend ...) and polled with MPI_Test. Errors are returned by MPI, not fatal.
//
// Counts above `largest_count` are cut into pieces (reductions) or sent as derived types (the
// rest), so that MPI's int counts do not overflow.
#pragma once

#include <memory>
#include <string>

#include "comm/engine.h"

namespace trireme::comm {

// 2^28 elements: also the sum over a few ranks of such counts stays an int.
constexpr int64_t kLargestMpiCount = int64_t{1} << 28;

// "Open MPI v4.1.4". May be called before MPI is initialised, and is no MPI communication.
std::string mpi_library();

void mpi_init(Engine& engine);
// Collective over the job. Nothing of MPI may be used after it.
void mpi_finalize(Engine& engine);
// Asks the engine to end all processes of the job with `code`, and returns at once.
void mpi_abort(Engine& engine, int code);

// All ranks of the job.
std::unique_ptr<Communicator> mpi_world(const std::shared_ptr<Engine>& engine,
                                        int64_t largest_count = kLargestMpiCount);
// The ranks of `world` (made by mpi_world) that share this one's host. Collective.
std::unique_ptr<Communicator> mpi_host_group(Communicator& world);

}  // namespace trireme::comm
