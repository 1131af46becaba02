// The CUDA Device: one stream per role, one event per stream, memory from cudaMalloc.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <source_location>
#include <string>

#include "core/base/error.h"
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/runtime/device.h"

namespace trireme::core {
namespace {

constexpr bool is_comm(StreamRole role) {
  return role != StreamRole::kCompute && role != StreamRole::kCopy;
}

std::string mebibytes(size_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

// Waiting for an event that was never recorded is nothing.
class CudaMark : public Mark {
 public:
  void record(Stream stream) override { check(cudaEventRecord(event_.get(), cuda(stream))); }
  void hold(Stream later) override { check(cudaStreamWaitEvent(cuda(later), event_.get(), 0)); }

 private:
  CudaEvent event_ = make_event();
};

// Every method makes the device current on the calling thread, which costs nanoseconds where it
// already is: launches that follow `stream()` on the same thread go to the right device.
class CudaDevice : public Device {
 public:
  explicit CudaDevice(int index);

  DeviceKind kind() const override { return DeviceKind::kCuda; }
  std::string describe() const override {
    return fmt::format("{} (sm_{})", context_.name(), context_.compute_capability());
  }

  Stream stream(StreamRole role) override;
  void order(Stream earlier, Stream later) override;
  void synchronize(Stream stream) override;

  std::unique_ptr<Mark> make_mark() override {
    make_current();
    return std::make_unique<CudaMark>();
  }

  void copy_in(void* device, const void* host, int64_t bytes, Stream stream) override;
  void copy_out(void* host, const void* device, int64_t bytes, Stream stream) override;
  void fill_zero(void* device, int64_t bytes, Stream stream) override;

  void* allocate_host(int64_t bytes) override;
  void free_host(void* memory) noexcept override { check_noexcept(cudaFreeHost(memory)); }

  KernelContext kernel_context() override;

  int64_t free_bytes() const override {
    make_current();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total));
    return static_cast<int64_t>(free);
  }

 private:
  void* allocate(int64_t bytes) override;
  void free(void* memory) noexcept override { check_noexcept(cudaFree(memory)); }
  void make_current() const { check(cudaSetDevice(context_.device())); }
  cudaEvent_t event_of(Stream stream) const;
  [[noreturn]] void out_of_memory(
      int64_t bytes, std::source_location where = std::source_location::current()) const;

  CudaContext context_;
  std::array<CudaStream, kStreamRoles> streams_;
  std::array<CudaEvent, kStreamRoles>
      events_;  // the latest point of each stream that was waited on
};

CudaDevice::CudaDevice(int index) : context_(index) {
  int lowest = 0, highest = 0;
  check(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
  for (int role = 0; role < kStreamRoles; ++role) {
    // A collective holds up other ranks as well: its kernels go first when an SM falls free.
    streams_[role] = make_stream(is_comm(static_cast<StreamRole>(role)) ? highest : lowest);
    events_[role] = make_event();
  }
}

Stream CudaDevice::stream(StreamRole role) {
  make_current();
  return {streams_[static_cast<int>(role)].get(), DeviceKind::kCuda};
}

cudaEvent_t CudaDevice::event_of(Stream stream) const {
  for (int role = 0; role < kStreamRoles; ++role)
    if (streams_[role].get() == stream.handle) return events_[role].get();
  throw SystemError("internal error: order() was given a stream that is not of this device");
}

// A wait refers to the event's record at the time of the call, so one event per stream serves any
// number of waits, in and out of a capture.
void CudaDevice::order(Stream earlier, Stream later) {
  if (earlier == later) return;
  make_current();
  const cudaEvent_t event = event_of(earlier);
  check(cudaEventRecord(event, cuda(earlier)));
  check(cudaStreamWaitEvent(cuda(later), event, 0));
}

void CudaDevice::synchronize(Stream stream) {
  make_current();
  check(cudaStreamSynchronize(cuda(stream)));
}

void CudaDevice::copy_in(void* device, const void* host, int64_t bytes, Stream stream) {
  make_current();
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda(stream)));
}

void CudaDevice::copy_out(void* host, const void* device, int64_t bytes, Stream stream) {
  make_current();
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cuda(stream)));
}

void CudaDevice::fill_zero(void* device, int64_t bytes, Stream stream) {
  make_current();
  check(cudaMemsetAsync(device, 0, bytes, cuda(stream)));
}

void* CudaDevice::allocate_host(int64_t bytes) {
  make_current();
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, std::max<int64_t>(bytes, 1), cudaHostAllocDefault));
  return memory;
}

KernelContext CudaDevice::kernel_context() {
  make_current();
  KernelContext context;
  context.cuda = &context_;
  return context;
}

void* CudaDevice::allocate(int64_t bytes) {
  make_current();
  void* memory = nullptr;
  const size_t size = std::max<int64_t>(bytes, 1);
  const cudaError_t status = cudaMalloc(&memory, size);
  if (status == cudaErrorMemoryAllocation) out_of_memory(bytes);
  check(status);
  // Our streams do not order themselves after the null stream, hence a wait here, before any step.
  const Stream compute = stream(StreamRole::kCompute);
  check(cudaMemsetAsync(memory, 0, size, cuda(compute)));
  check(cudaStreamSynchronize(cuda(compute)));
  return memory;
}

void CudaDevice::out_of_memory(int64_t bytes, std::source_location where) const {
  cudaGetLastError();
  size_t free_bytes = 0, total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes));
  throw SystemError(
      fmt::format("[cuda] out of memory on {}: asked for {} ({} bytes), {} of {} are free; use a "
                  "smaller train.micro_batch",
                  context_.name(), mebibytes(bytes), bytes, mebibytes(free_bytes),
                  mebibytes(total_bytes)),
      where);
}

// Why there is not a single device to count, and what to do about it.
std::string no_device_reason(cudaError_t status) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0)
    return "[cuda] no NVIDIA driver on this machine; train on the CPU, or install the driver";
  if (status == cudaErrorInsufficientDriver)
    return fmt::format(
        "[cuda] the NVIDIA driver supports CUDA {}.{}, this build needs {}.{}; update the driver",
        driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  if (status == cudaSuccess || status == cudaErrorNoDevice)
    return "[cuda] no GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES";
  return fmt::format("[cuda] cannot count GPUs: {}", cudaGetErrorString(status));
}

}  // namespace

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

std::unique_ptr<Device> make_cuda_device(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status != cudaSuccess || count == 0) throw SystemError(no_device_reason(status));
  if (index < 0 || index >= count)
    throw SystemError(fmt::format("[cuda] no GPU {}: {} visible, numbered from 0", index, count));
  return std::make_unique<CudaDevice>(index);
}

}  // namespace trireme::core
