#include "comm/local_device.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

#include "core/base/error.h"

namespace trireme::comm {

namespace {

struct Choice {
  int index = 0;
  bool taken = false;  // by a rank before
};

// Local ranks 0, 1, ... choose in turn, each the GPU with the fewest ranks among those it sees.
std::vector<Choice> choose(std::span<const std::vector<uint64_t>> visible) {
  std::map<uint64_t, int> ranks_on;
  std::vector<Choice> choices;
  for (const std::vector<uint64_t>& mine : visible) {
    if (mine.empty())
      fail(
          "[launch] local rank {} sees no GPU; check CUDA_VISIBLE_DEVICES and the job's GPU "
          "request",
          choices.size());
    const auto chosen = std::min_element(mine.begin(), mine.end(), [&](uint64_t a, uint64_t b) {
      return ranks_on[a] < ranks_on[b];
    });
    const bool taken = ranks_on[*chosen]++ > 0;
    choices.push_back({static_cast<int>(chosen - mine.begin()), taken});
  }
  return choices;
}

}  // namespace

int local_device_index(int local_rank, std::span<const std::vector<uint64_t>> visible,
                       bool share_gpu) {
  const std::vector<Choice> choices = choose(visible);
  for (size_t r = 0; r < choices.size() && !share_gpu; ++r)
    if (choices[r].taken)
      fail(
          "[launch] {} ranks on this host, but local rank {} finds its {} GPU(s) taken by others; "
          "start one rank a GPU, or allow --share-gpu",
          visible.size(), r, visible[r].size());
  return choices[local_rank].index;
}

bool ranks_share_gpus(std::span<const std::vector<uint64_t>> visible) {
  const std::vector<Choice> choices = choose(visible);
  return std::any_of(choices.begin(), choices.end(), [](const Choice& c) { return c.taken; });
}

void set_shared_gpu_environment(int rank, bool one_host) {
  setenv("NCCL_HOSTID", fmt::format("trireme-rank-{}", rank).c_str(), 1);
  if (one_host) setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  setenv("NCCL_NET", "Socket", 0);
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  setenv("NCCL_MNNVL_ENABLE", "0", 0);
  setenv("NCCL_RAS_ENABLE", "0", 0);
  setenv("NCCL_MAX_CTAS", "4", 0);
  // Ranks take turns on the GPU: fewer, longer steps win over low latency.
  setenv("NCCL_ALGO", "Ring", 0);
  setenv("NCCL_PROTO", "Simple", 0);
}

}  // namespace trireme::comm
