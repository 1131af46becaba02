// One device: memory, streams and the order between them. The owner of every handle below it.
//
// main makes devices and hands them down, so that they die before the driver does.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "core/graph/op.h"
#include "core/runtime/stream.h"

namespace trireme::core {

// One stream per purpose. On the CPU kCompute is the calling thread.
// The two directions of a pipeline and the two ends of a message are apart, so that none waits
// behind another: activations go down the stages, their gradients up.
enum class StreamRole : uint8_t {
  kCompute,
  kCopy,
  kData,
  kTensor,
  kSendDown,
  kReceiveDown,
  kSendUp,
  kReceiveUp
};
constexpr int kStreamRoles = 8;

class Device;

// Device memory with an owner. Zero when allocated; aligned to 4096 bytes on the CPU and 256 on a
// GPU. Allocating happens before a run, never inside a step.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, int64_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// A point in a stream's work that can be waited for, however much is put on the stream behind it.
// Made before a run; recorded and waited for any number of times.
class Mark {
 public:
  virtual ~Mark() = default;
  virtual void record(Stream stream) = 0;
  // As Device::order, for the work before the last record(); nothing if there was none.
  virtual void hold(Stream later) = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual std::string describe() const = 0;  // "CPU (2 threads)", "NVIDIA H100 80GB HBM3 (sm_90)"

  // Memory that could be allocated now; 0 where that is no limit to go by.
  virtual int64_t free_bytes() const { return 0; }

  virtual Stream stream(StreamRole role) = 0;
  // Work put on `later` from now on starts after the work now on `earlier`. The host does not
  // wait, except that on the CPU the compute stream is the host. Rethrows a transport's failure.
  virtual void order(Stream earlier, Stream later) = 0;
  virtual void synchronize(Stream stream) = 0;
  virtual std::unique_ptr<Mark> make_mark() = 0;

  // Copies between host and device memory in stream order. Host memory must stay as it is until
  // the stream is synchronized.
  virtual void copy_in(void* device, const void* host, int64_t bytes, Stream stream) = 0;
  virtual void copy_out(void* host, const void* device, int64_t bytes, Stream stream) = 0;
  virtual void fill_zero(void* device, int64_t bytes, Stream stream) = 0;

  // Host memory that copies fast to and from this device (pinned, on a GPU).
  virtual void* allocate_host(int64_t bytes) = 0;
  virtual void free_host(void* memory) noexcept = 0;

  virtual KernelContext kernel_context() = 0;

 protected:
  friend class Buffer;
  // Throws SystemError naming the bytes asked for and the bytes free.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;
};

// Owns what a device's allocate_host() gave.
struct FreeHost {
  Device* device = nullptr;
  void operator()(void* memory) const noexcept { device->free_host(memory); }
};
template <typename T>
using HostPointer = std::unique_ptr<T, FreeHost>;

// Of one rank, added up over its comm streams; see CpuStream.
struct CommunicationTimes {
  double seconds = 0;  // that calls were under way
  double exposed = 0;  // that computing waited for them

  CommunicationTimes operator-(const CommunicationTimes& before) const {
    return {seconds - before.seconds, exposed - before.exposed};
  }
  // The share that is hidden behind computing.
  double overlap() const { return std::max(0.0, 1 - exposed / seconds); }
};
// So far; 0 on a GPU, where it is not measured.
CommunicationTimes communication_of(Device& device);

// `threads` CPU threads for kernels; 0: all that the affinity mask allows.
std::unique_ptr<Device> make_cpu_device(int threads, HalfProducts half = HalfProducts::kNative);
// GPU `index` among the visible ones. Throws SystemError if this build has no CUDA, or there is
// no such device, in one line that says which.
std::unique_ptr<Device> make_cuda_device(int index);
// 0 where there is no driver, no device, or no CUDA in this build.
int cuda_device_count();

}  // namespace trireme::core
