#include "comm/gpu.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

[[noreturn]] void refuse(const char* what) {
  fail("[nccl] cannot {}: this build has no CUDA (configure with -DTRIREME_CUDA=ON)", what);
}

}  // namespace

std::string nccl_version() { return {}; }

std::vector<uint64_t> visible_gpu_ids() { return {}; }

void copy_on_gpu(void*, const void*, int64_t, Stream) { refuse("copy on a CUDA stream"); }

std::unique_ptr<Communicator> make_nccl_communicator(Communicator&, int,
                                                     std::chrono::milliseconds) {
  refuse("join GPUs");
}

}  // namespace trireme::comm
