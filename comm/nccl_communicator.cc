#include "comm/nccl_communicator.h"

#include <cuda_runtime_api.h>

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "comm/gpu.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

using Clock = std::chrono::steady_clock;

void check_cuda(cudaError_t status, const char* what,
                std::source_location where = std::source_location::current()) {
  if (status == cudaSuccess) return;
  throw SystemError(fmt::format("[cuda] {}: {}", what, cudaGetErrorString(status)), where);
}

ncclDataType_t nccl_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return ncclFloat32;
    case DType::kF64:
      return ncclFloat64;
    case DType::kF16:
      return ncclFloat16;
    case DType::kBF16:
      return ncclBfloat16;
    case DType::kI32:
      return ncclInt32;
    case DType::kI64:
      return ncclInt64;
    default:
      return ncclUint8;
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  return op == ReduceOp::kSum ? ncclSum : op == ReduceOp::kMax ? ncclMax : ncclMin;
}

ncclConfig_t nonblocking_config() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

// The first rank's id, on every rank. A failure there is told to all, who would wait otherwise.
ncclUniqueId agree_on_id(Communicator& control) {
  ncclUniqueId id{};
  ncclResult_t status = ncclSuccess;
  if (control.rank() == 0) status = ncclGetUniqueId(&id);
  std::array<uint8_t, sizeof id + 1> bytes{};
  bytes[0] = static_cast<uint8_t>(status);
  std::memcpy(bytes.data() + 1, &id, sizeof id);
  control.broadcast(std::span(bytes.data(), bytes.size()), 0, {}, "NCCL id");
  check(static_cast<ncclResult_t>(bytes[0]), nullptr, "ncclGetUniqueId on rank 0");
  std::memcpy(&id, bytes.data() + 1, sizeof id);
  return id;
}

// FNV-1a over the UUID's bytes.
uint64_t hash_of(const cudaUUID_t& uuid) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char byte : uuid.bytes)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
  return hash;
}

}  // namespace

void check(ncclResult_t status, ncclComm_t comm, const std::string& what,
           std::source_location where) {
  if (status == ncclSuccess) return;
  const char* detail = ncclGetLastError(comm);
  const bool more = detail != nullptr && detail[0] != '\0';
  throw SystemError(fmt::format("[nccl] {}: {}{}{}", what, ncclGetErrorString(status),
                                more ? ": " : "", more ? detail : ""),
                    where);
}

NcclCommunicator::NcclCommunicator(ncclComm_t comm, int rank, int size, int device,
                                   Milliseconds deadline)
    : Communicator(rank, size), comm_(comm), device_(device), deadline_(deadline) {}

NcclCommunicator::~NcclCommunicator() {
  const std::lock_guard lock(mutex_);
  if (comm_ == nullptr) return;
  // Finalize lets queued work end; a communicator that does not settle is broken.
  if (settle(comm_, ncclCommFinalize(comm_)) == ncclSuccess)
    ncclCommDestroy(comm_);
  else
    ncclCommAbort(comm_);
}

ncclResult_t NcclCommunicator::settle(ncclComm_t comm, ncclResult_t status) const {
  const auto end = Clock::now() + deadline_;
  for (int polls = 0; status == ncclInProgress && Clock::now() < end; ++polls) {
    // Enqueueing settles within microseconds; connecting takes seconds.
    if (polls > 1000)
      std::this_thread::sleep_for(Milliseconds(1));
    else if (polls > 0)
      std::this_thread::yield();
    const ncclResult_t asked = ncclCommGetAsyncError(comm, &status);
    if (asked != ncclSuccess) return asked;
  }
  return status;
}

void NcclCommunicator::require(ncclComm_t comm, ncclResult_t status, const std::string& what,
                               std::source_location where) const {
  const ncclResult_t settled = settle(comm, status);
  if (settled == ncclInProgress)
    throw SystemError(fmt::format("[nccl] {}: not done after {} ms; a rank of the group of {} is "
                                  "missing or stuck",
                                  what, deadline_.count(), size()),
                      where);
  comm::check(settled, comm, what, where);
}

void NcclCommunicator::check_not_aborted() {
  if (comm_ == nullptr)
    throw SystemError(fmt::format("[nccl] the group was given up: {}", aborted_));
}

void NcclCommunicator::check() {
  const std::lock_guard lock(mutex_);
  check_not_aborted();
  ncclResult_t status = ncclSuccess;
  comm::check(ncclCommGetAsyncError(comm_, &status), comm_, "ncclCommGetAsyncError");
  if (status != ncclInProgress)
    comm::check(status, comm_, fmt::format("a group of {} ranks failed", size()));
}

void NcclCommunicator::abort(std::string_view why) noexcept {
  const std::lock_guard lock(mutex_);
  if (comm_ == nullptr) return;
  ncclCommAbort(comm_);
  comm_ = nullptr;
  aborted_ = why;
}

void NcclCommunicator::wait_until_ready() {
  const std::lock_guard lock(mutex_);
  try {
    require(comm_, ncclInProgress, "ncclCommInitRankConfig");
  } catch (...) {
    ncclCommAbort(comm_);  // finalizing would wait for the missing ranks once more
    comm_ = nullptr;
    throw;
  }
}

std::unique_ptr<Communicator> NcclCommunicator::split(int color, int key) {
  const std::lock_guard lock(mutex_);
  check_not_aborted();
  check_cuda(cudaSetDevice(device_), "cudaSetDevice");
  ncclConfig_t config = nonblocking_config();
  ncclComm_t group = nullptr;
  const int nccl_color = color < 0 ? NCCL_SPLIT_NOCOLOR : color;
  require(comm_, ncclCommSplit(comm_, nccl_color, key, &group, &config), "ncclCommSplit");
  if (group == nullptr) return nullptr;
  require(group, ncclInProgress, "ncclCommSplit");  // the new group connects on its own
  int rank = 0, size = 0;
  comm::check(ncclCommUserRank(group, &rank), group, "ncclCommUserRank");
  comm::check(ncclCommCount(group, &size), group, "ncclCommCount");
  return std::make_unique<NcclCommunicator>(group, rank, size, device_, deadline_);
}

void NcclCommunicator::do_enqueue(const CollectiveCall& call, Stream stream) {
  if (stream.device != core::DeviceKind::kCuda)
    fail("[nccl] expects a CUDA stream for {}, got a CPU stream", name_of(call.kind));
  if (size() == 1 && call.send == call.recv) return;
  const std::lock_guard lock(mutex_);
  check_not_aborted();
  const ncclResult_t status = start(call, static_cast<cudaStream_t>(stream.handle));
  if (status != ncclSuccess) require(comm_, status, describe(call, size()));
}

ncclResult_t NcclCommunicator::start(const CollectiveCall& call, cudaStream_t stream) {
  const auto count = static_cast<size_t>(call.count);
  const ncclDataType_t type = nccl_type(call.dtype);
  const ncclRedOp_t op = nccl_op(call.op);
  switch (call.kind) {
    case CollectiveKind::kAllReduce:
      return ncclAllReduce(call.send, call.recv, count, type, op, comm_, stream);
    case CollectiveKind::kReduceScatter:
      return ncclReduceScatter(call.send, call.recv, count, type, op, comm_, stream);
    case CollectiveKind::kAllGather:
      return ncclAllGather(call.send, call.recv, count, type, comm_, stream);
    case CollectiveKind::kBroadcast:
      return ncclBroadcast(call.send, call.recv, count, type, call.peer, comm_, stream);
    case CollectiveKind::kAllToAll:
      return all_to_all_as_messages(call, stream);
    case CollectiveKind::kSend:
      return ncclSend(call.send, count, type, call.peer, comm_, stream);
    case CollectiveKind::kRecv:
      return ncclRecv(call.recv, count, type, call.peer, comm_, stream);
  }
  return ncclInvalidArgument;
}

// One group of sends and receives: also NCCL before 2.28, which has no ncclAlltoAll, does it.
ncclResult_t NcclCommunicator::all_to_all_as_messages(const CollectiveCall& call,
                                                      cudaStream_t stream) {
  const ncclDataType_t type = nccl_type(call.dtype);
  const int64_t bytes = call.count * core::size_of(call.dtype);
  ncclResult_t first = ncclGroupStart();
  const auto keep = [&](ncclResult_t status) {
    if (first == ncclSuccess && status != ncclInProgress) first = status;
  };
  for (int r = 0; r < size(); ++r) {
    keep(ncclSend(static_cast<const std::byte*>(call.send) + r * bytes, call.count, type, r, comm_,
                  stream));
    keep(ncclRecv(static_cast<std::byte*>(call.recv) + r * bytes, call.count, type, r, comm_,
                  stream));
  }
  const ncclResult_t end = ncclGroupEnd();
  return first != ncclSuccess ? first : end;
}

std::string nccl_version() {
  int version = 0;
  check(ncclGetVersion(&version), nullptr, "ncclGetVersion");
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::vector<uint64_t> visible_gpu_ids() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return {};
  std::vector<uint64_t> ids;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    ids.push_back(hash_of(properties.uuid));
  }
  return ids;
}

void copy_on_gpu(void* recv, const void* send, int64_t bytes, Stream stream) {
  check_cuda(cudaMemcpyAsync(recv, send, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice,
                             static_cast<cudaStream_t>(stream.handle)),
             "cudaMemcpyAsync");
}

std::unique_ptr<Communicator> make_nccl_communicator(Communicator& control, int device,
                                                     std::chrono::milliseconds deadline) {
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  const ncclUniqueId id = agree_on_id(control);
  ncclConfig_t config = nonblocking_config();
  ncclComm_t comm = nullptr;
  const ncclResult_t status =
      ncclCommInitRankConfig(&comm, control.size(), id, control.rank(), &config);
  if (status != ncclSuccess && status != ncclInProgress)
    check(status, nullptr, "ncclCommInitRankConfig");
  auto result =
      std::make_unique<NcclCommunicator>(comm, control.rank(), control.size(), device, deadline);
  result->wait_until_ready();
  return result;
}

}  // namespace trireme::comm
