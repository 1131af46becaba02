#include "comm/world.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

#include "comm/gpu.h"
#include "comm/init_watch.h"
#include "comm/local_device.h"
#include "comm/mpi_communicator.h"
#include "comm/self_communicator.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

// MPI_Abort comes back within this, or the comm thread is stuck in MPI.
constexpr auto kAbortPatience = std::chrono::seconds(3);

// Every local rank's GPUs, known to every local rank.
std::vector<std::vector<uint64_t>> gather_gpu_ids(Communicator& host) {
  const std::vector<uint64_t> mine = visible_gpu_ids();
  auto longest = static_cast<int64_t>(mine.size());
  host.all_reduce(std::span(&longest, 1), ReduceOp::kMax, {}, "visible GPUs");
  std::vector<int64_t> row(longest + 1), table(row.size() * host.size());
  row[0] = static_cast<int64_t>(mine.size());
  std::copy(mine.begin(), mine.end(), row.begin() + 1);
  host.all_gather(std::span<const int64_t>(row), std::span(table), {}, "visible GPUs");
  std::vector<std::vector<uint64_t>> visible(host.size());
  for (int r = 0; r < host.size(); ++r) {
    const auto begin = table.begin() + r * static_cast<int64_t>(row.size());
    visible[r].assign(begin + 1, begin + 1 + *begin);
  }
  return visible;
}

}  // namespace

World::World(const Launch& launch, int64_t largest_mpi_count)
    : launch_(launch), exceptions_(std::uncaught_exceptions()) {
  if (!launch.needs_mpi()) {
    communicator_ = std::make_unique<SelfCommunicator>();
    host_ = std::make_unique<SelfCommunicator>();
    return;
  }
  check_pmi(launch, mpi_library());
  engine_ = std::make_shared<Engine>();
  {
    const InitWatch watch(launch);
    mpi_init(*engine_);
  }
  communicator_ = mpi_world(engine_, largest_mpi_count > 0 ? largest_mpi_count : kLargestMpiCount);
  try {
    check_found(launch, size(), mpi_library());
  } catch (...) {
    communicator_.reset();
    mpi_finalize(*engine_);
    throw;
  }
  host_ = mpi_host_group(*communicator_);
}

World::~World() {
  if (!engine_) return;
  host_.reset();
  communicator_.reset();
  if (engine_->failed() || std::uncaught_exceptions() > exceptions_) return;
  try {
    mpi_finalize(*engine_);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "trireme: %s\n", error.what());
  }
}

std::string World::describe() const {
  if (!engine_) return "1 rank, no MPI";
  return fmt::format("{} ranks by {}, {}", size(), launch_.launcher, mpi_library());
}

int World::device_index(bool share_gpu) {
  const std::vector<std::vector<uint64_t>> visible = gather_gpu_ids(*host_);
  if (share_gpu && ranks_share_gpus(visible))
    set_shared_gpu_environment(rank(), local_size() == size());
  return local_device_index(local_rank(), visible, share_gpu);
}

void World::abort(int code) noexcept {
  std::fflush(nullptr);
  if (engine_) {
    mpi_abort(*engine_, code);
    std::this_thread::sleep_for(kAbortPatience);
  }
  std::_Exit(code);
}

}  // namespace trireme::comm
