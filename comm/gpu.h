// What comm asks of CUDA, and nothing else. A build without CUDA links stubs that say so.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace trireme::comm {

// "2.28.9", or empty in a build without NCCL.
std::string nccl_version();

// One number a visible GPU, in the order of CUDA's indices, equal where two processes see the same
// one (a hash of its UUID). Empty where there is no driver, no GPU, or no CUDA in this build.
std::vector<uint64_t> visible_gpu_ids();

// send -> recv in the order of a CUDA stream. Throws SystemError.
void copy_on_gpu(void* recv, const void* send, int64_t bytes, Stream stream);

// Ranks on GPUs, one each; `device` is this rank's CUDA index. `control` (the same ranks, on CPUs)
// carries the unique id and is used during this call alone.
//
// Collective. Throws SystemError "[nccl] ..." if the group is not complete by the deadline.
std::unique_ptr<Communicator> make_nccl_communicator(Communicator& control, int device,
                                                     std::chrono::milliseconds deadline);

}  // namespace trireme::comm
