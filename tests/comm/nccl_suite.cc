// The communicator suite over real NCCL: ranks on GPUs, or several on one (--share-gpu).
//
//   mpirun -np 2 nccl_suite --share-gpu --expect 2
//
// The cases work on host memory, so each call is staged: in to the device, the collective on a CUDA
// stream, back out. What is about CPU streams alone (their queues and interleavings) is left out.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "comm/gpu.h"
#include "comm/world.h"
#include "core/base/error.h"
#include "core/runtime/device.h"
#include "tests/comm/suite.h"

namespace trireme::comm {
namespace {

using core::Buffer;
using core::Device;

constexpr std::array<std::string_view, 9> kCases{
    "all_reduce",         "reduce_scatter", "all_gather", "broadcast", "all_to_all",
    "send_recv_blocking", "stream_order",   "split",      "same_bits"};

class Staged final : public Communicator {
 public:
  Staged(Device& device, std::unique_ptr<Communicator> gpu)
      : Communicator(gpu->rank(), gpu->size()), device_(device), gpu_(std::move(gpu)) {}

  std::string_view transport() const override { return gpu_->transport(); }
  std::unique_ptr<Communicator> split(int color, int key) override {
    std::unique_ptr<Communicator> part = gpu_->split(color, key);
    if (!part) return nullptr;
    return std::make_unique<Staged>(device_, std::move(part));
  }
  void check() override { gpu_->check(); }
  void abort(std::string_view why) noexcept override { gpu_->abort(why); }

 protected:
  void do_enqueue(const CollectiveCall& call, Stream host_stream) override {
    const int64_t element = core::size_of(call.dtype);
    const int64_t n = size();
    const auto kind = call.kind;
    const bool from_all =
        kind == CollectiveKind::kReduceScatter || kind == CollectiveKind::kAllToAll;
    const bool to_all = kind == CollectiveKind::kAllGather || kind == CollectiveKind::kAllToAll;
    Buffer send(device_, call.count * element * (from_all ? n : 1));
    Buffer recv(device_, call.count * element * (to_all ? n : 1));
    const Stream stream = device_.stream(core::StreamRole::kData);
    if (call.send && kind != CollectiveKind::kRecv)
      device_.copy_in(send.data(), call.send, send.bytes(), stream);
    CollectiveCall staged = call;
    staged.send = send.data();
    staged.recv = recv.data();
    gpu_->enqueue(staged, stream);
    if (kind != CollectiveKind::kSend)
      device_.copy_out(call.recv, recv.data(), recv.bytes(), stream);
    device_.synchronize(stream);
    if (core::CpuStream* queued = host_stream.cpu()) queued->completed = ++queued->submitted;
  }

 private:
  Device& device_;
  std::unique_ptr<Communicator> gpu_;
};

void run(World& world, bool share_gpu, int expect) {
  if (world.size() != expect)
    throw SystemError(fmt::format("{} ranks, not {}", world.size(), expect));
  const int index = world.device_index(share_gpu);
  const auto device = core::make_cuda_device(index);
  Staged comm(*device,
              make_nccl_communicator(world.communicator(), index, std::chrono::seconds(60)));
  size_t ran = 0;
  for (const SuiteCase& test_case : suite()) {
    if (std::ranges::find(kCases, std::string_view(test_case.name)) == kCases.end()) continue;
    test_case.run(comm);
    barrier(world.communicator());
    ++ran;
    if (world.rank() == 0) std::printf("ok %s\n", test_case.name), std::fflush(stdout);
  }
  if (ran != kCases.size()) throw SystemError("a case of the list is not in the suite");
}

}  // namespace
}  // namespace trireme::comm

int main(int argc, char** argv) {
  using namespace trireme;
  bool share_gpu = false;
  int expect = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--share-gpu") == 0) share_gpu = true;
    if (std::strcmp(argv[i], "--expect") == 0 && i + 1 < argc) expect = std::atoi(argv[++i]);
  }
  std::unique_ptr<comm::World> world;
  try {
    world = std::make_unique<comm::World>();
    comm::run(*world, share_gpu, expect);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nccl_suite: rank %d: %s\n", world ? world->rank() : -1, error.what());
    if (world) world->abort(static_cast<int>(ExitCode::kInternal));
    return static_cast<int>(ExitCode::kInternal);
  }
  if (world->rank() == 0) std::printf("passed: %s\n", world->describe().c_str());
  return 0;
}
