#include <fmt/format.h>

#include "comm/gpu.h"
#include "comm/mpi_communicator.h"
#include "core/cpu/onednn.h"
#include "launcher/build_info.h"
#include "launcher/cli/commands.h"

namespace trireme::launcher {

std::string version_text() {
  const std::string nccl = comm::nccl_version();
  return fmt::format(
      "trireme {} ({})\n"
      "built with {} ({}), MPI: {}, CUDA: {}, NCCL: {}, protobuf: {}, oneDNN: {}\n",
      build_info::kVersion, build_info::kCommit, build_info::kCompiler, build_info::kBuildType,
      comm::mpi_library(), build_info::kCuda, nccl.empty() ? "no" : nccl, build_info::kProtobuf,
      core::onednn::version());
}

}  // namespace trireme::launcher
