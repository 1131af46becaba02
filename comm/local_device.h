// Which GPU of its host a rank drives, and what NCCL must be told where ranks share one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme::comm {

// The CUDA index of the GPU for rank `local_rank` of a host.
//
//   visible  for each local rank, the identities of the GPUs it sees, in the order of its own CUDA
//            indices (comm/gpu.h, visible_gpu_ids)
//
// Ranks choose in order, each the first that it sees and nobody took. So four ranks that see four
// GPUs take 0, 1, 2, 3, and ranks that each see one of their own (CUDA_VISIBLE_DEVICES, or srun
// --gpus-per-task=1) take 0 each. With `share_gpu`, a rank that finds all taken takes the one with
// the fewest ranks.
//
// Throws InvalidArgument, alike on every rank of the host, if one sees no GPU or finds all taken.
int local_device_index(int local_rank, std::span<const std::vector<uint64_t>> visible,
                       bool share_gpu);

// True if local_device_index(..., share_gpu = true) gives two ranks the same GPU.
bool ranks_share_gpus(std::span<const std::vector<uint64_t>> visible);

// Environment for NCCL, before its first call: it refuses two ranks of one host on one GPU, so each
// rank becomes a host of its own, which leaves sockets as the only way between them. Variables that
// the user has set stay as they are, except NCCL_HOSTID.
void set_shared_gpu_environment(int rank, bool one_host);

}  // namespace trireme::comm
