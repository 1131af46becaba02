#include "core/runtime/device.h"

#include <gmock/gmock.h>

#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "tests/core/cuda/cuda_test.h"

namespace trireme::test {
namespace {

using core::Buffer;
using core::Stream;
using core::StreamRole;
using ::testing::HasSubstr;
using ::testing::Not;

// Pinned memory of a device.
class HostMemory {
 public:
  HostMemory(core::Device& device, int64_t bytes)
      : device_(device), data_(static_cast<std::byte*>(device.allocate_host(bytes))) {}
  ~HostMemory() { device_.free_host(data_); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  std::byte* data() const { return data_; }

 private:
  core::Device& device_;
  std::byte* data_;
};

std::string message_of_making(int index) {
  try {
    core::make_cuda_device(index);
  } catch (const SystemError& error) {
    return error.what();
  }
  return "";
}

// Runs everywhere: with a GPU one index past the last, without one any index.
TEST(CudaAbsence, IsOneLineThatSaysWhatToDo) {
  const int count = core::cuda_device_count();
  ASSERT_GE(count, 0);
  const std::string message = message_of_making(count);
  EXPECT_THAT(message, ::testing::StartsWith("[cuda] "));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  if (count > 0)
    EXPECT_THAT(message, HasSubstr(fmt::format("no GPU {}: {} visible", count, count)));
  else
    EXPECT_THAT(message, ::testing::AnyOf(
                             HasSubstr("no NVIDIA driver"), HasSubstr("the NVIDIA driver supports"),
                             HasSubstr("no GPU is visible"), HasSubstr("this build has no CUDA")));
}

TEST(CudaAbsence, RefusesANegativeIndex) {
  EXPECT_THAT(message_of_making(-1), ::testing::StartsWith("[cuda] "));
}

// To count devices where there is none must not leave an error for the next call to find.
TEST(CudaAbsence, CountsTheSameAgain) {
  EXPECT_EQ(core::cuda_device_count(), core::cuda_device_count());
}

using CudaDevice = CudaTest;

TEST_F(CudaDevice, SaysWhatItIs) {
  EXPECT_EQ(device().kind(), core::DeviceKind::kCuda);
  EXPECT_THAT(device().describe(), HasSubstr("(sm_"));
  RecordProperty("device", device().describe());
}

TEST_F(CudaDevice, MemoryIsZeroAndCopiesComeBack) {
  const Stream stream = device().stream(StreamRole::kCompute);
  for (int64_t bytes : {1, 3, 255, 4097, 1 << 20}) {
    Buffer buffer(device(), bytes);
    std::vector<std::byte> got(bytes, std::byte{1});
    device().copy_out(got.data(), buffer.data(), bytes, stream);
    device().synchronize(stream);
    EXPECT_EQ(got, std::vector<std::byte>(bytes)) << bytes;

    std::vector<std::byte> sent(bytes);
    for (int64_t i = 0; i < bytes; ++i) sent[i] = static_cast<std::byte>(i * 7 + 1);
    device().copy_in(buffer.data(), sent.data(), bytes, stream);
    device().copy_out(got.data(), buffer.data(), bytes, stream);
    device().synchronize(stream);
    EXPECT_EQ(got, sent) << bytes;

    device().fill_zero(buffer.data(), bytes, stream);
    device().copy_out(got.data(), buffer.data(), bytes, stream);
    device().synchronize(stream);
    EXPECT_EQ(got, std::vector<std::byte>(bytes)) << bytes;
  }
}

TEST_F(CudaDevice, StreamsDiffer) {
  for (int a = 0; a < core::kStreamRoles; ++a)
    for (int b = 0; b < a; ++b)
      EXPECT_NE(device().stream(static_cast<StreamRole>(a)),
                device().stream(static_cast<StreamRole>(b)));
}

// A copy of 128 MiB takes milliseconds; without the order the second stream would read its end
// long before.
TEST_F(CudaDevice, OrderMakesOneStreamWaitForAnother) {
  constexpr int64_t kBytes = int64_t{128} << 20;
  HostMemory sent(device(), kBytes), got(device(), kBytes);
  Buffer buffer(device(), kBytes);
  const Stream earlier = device().stream(StreamRole::kCopy);
  for (int round = 1; round <= 3; ++round) {
    for (int role : {0, 2, 5}) {
      const Stream later = device().stream(static_cast<StreamRole>(role));
      std::memset(sent.data(), round * 16 + role, kBytes);
      device().copy_in(buffer.data(), sent.data(), kBytes, earlier);
      device().order(earlier, later);
      device().copy_out(got.data() + kBytes - 4096,
                        static_cast<std::byte*>(buffer.data()) + kBytes - 4096, 4096, later);
      device().synchronize(later);
      EXPECT_EQ(std::memcmp(got.data() + kBytes - 4096, sent.data(), 4096), 0) << round << role;
    }
  }
}

TEST_F(CudaDevice, RefusesAStreamOfAnotherDevice) {
  const auto other = core::make_cuda_device(0);
  EXPECT_THROW(
      device().order(other->stream(StreamRole::kCopy), device().stream(StreamRole::kCompute)),
      SystemError);
}

TEST_F(CudaDevice, OutOfMemoryNamesTheBytesAndIsNotForEver) {
  constexpr int64_t kBytes = int64_t{1} << 50;
  try {
    Buffer buffer(device(), kBytes);
    ADD_FAILURE() << "a pebibyte was allocated";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr("out of memory"));
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(kBytes)));
    EXPECT_THAT(error.what(), HasSubstr("are free"));
  }
  Buffer buffer(device(), 1000);
  EXPECT_NE(buffer.data(), nullptr);
}

}  // namespace
}  // namespace trireme::test
