// What a file may cost in memory: in proportion to its size when it is parsed, and a few MiB when
// it is streamed, whatever it says. Not under sanitizers, whose own memory would be measured.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <sstream>

#include "edited_manifest.h"
#include "launcher/checkpoint/diff.h"
#include "launcher/checkpoint/safetensors_header.h"
#include "launcher/checkpoint/verify.h"
#include "small_checkpoint.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace trireme::launcher {
namespace {

using core::DType;

int64_t status_bytes(const std::string& field) {
  std::istringstream status(read_file("/proc/self/status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field)) return std::stoll(line.substr(field.size())) * 1024;
  return -1;
}

// How much the resident memory grows at most while `action` runs, in a process of its own.
int64_t peak_of(const std::function<void()>& action) {
  int channel[2];
  if (::pipe(channel) != 0) throw SystemError("pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
    const int64_t before = status_bytes("VmRSS:");
    action();
    const int64_t grown = status_bytes("VmHWM:") - before;
    _exit(::write(channel[1], &grown, sizeof(grown)) == sizeof(grown) ? 0 : 1);
  }
  ::close(channel[1]);
  int64_t grown = -1;
  const bool read = ::read(channel[0], &grown, sizeof(grown)) == sizeof(grown);
  ::close(channel[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(read && status == 0);
  return grown;
}

constexpr int64_t kMiB = 1 << 20;

TEST(Memory, AManifestCostsInProportionToItsBytes) {
  const TemporaryFolder folder;
  const std::string file = encode(write_small(folder.path(), 2));
  const std::string payload = payload_of(file);
  // As many of each kind of entry as a few MiB hold, each as short as may be.
  std::string tensors, shards, pieces, axes;
  for (int i = 0; i < 100'000; ++i)
    tensors +=
        "\x1a\x07\x0a\x01"
        "a"
        "\x10\x01\x18\x01";
  for (int i = 0; i < 60'000; ++i)
    shards += std::string("\x22\x0d\x08\x00\x10\x00\x19\x00\x00\x00\x00\x00\x00\x00\x00", 15);
  for (int i = 0; i < 300'000; ++i) pieces += std::string("\x2a\x02\x08\x00", 4);
  for (int i = 0; i < 300'000; ++i)
    axes += std::string(
        "\x2a\x12\x08\x00\x12\x06\x00\x00\x00\x00\x00\x00\x1a\x06\x01\x01\x01\x01\x01\x01", 20);
  const auto shard_of = [](const std::string& entries) {
    std::string message =
        std::string("\x08\x00\x10\x00\x19\x00\x00\x00\x00\x00\x00\x00\x00", 13) + entries;
    std::string length;
    for (size_t rest = message.size(); true; rest >>= 7) {
      length += static_cast<char>(rest > 127 ? (rest & 127) | 128 : rest);
      if (rest <= 127) break;
    }
    return "\x22" + length + message;
  };
  for (const std::string& more : {tensors, shards, shard_of(pieces), shard_of(axes)}) {
    const std::string hostile = close_envelope(payload + more);
    std::string error;
    const int64_t peak = peak_of([&] {
      if (refusal_of([&] { decode(bytes_of(hostile), "m"); }).empty()) _exit(2);
    });
    EXPECT_LT(peak, 64 * std::ssize(hostile) + 4 * kMiB) << hostile.size();
  }
}

TEST(Memory, AHeaderCostsInProportionToItsBytes) {
  for (const std::string& hostile :
       {std::string(4 * kMiB, '['), "{\"a\":" + std::string(4 * kMiB, '['),
        "{\"a\":{\"shape\":[" + std::string(4 * kMiB, '1'), "{\"" + std::string(4 * kMiB, 'a')}) {
    const int64_t peak = peak_of([&] {
      if (refusal_of([&] { parse_safetensors_header(hostile, 8, "f"); }).empty()) _exit(2);
    });
    EXPECT_LT(peak, 16 * std::ssize(hostile) + kMiB);
  }
}

TEST(Memory, LargeCheckpointsAreStreamed) {
  const std::vector<TensorSpec> tensors = {
      {"w", TensorRole::kParameter, DType::kF32, {24 * kMiB / 4}},
      {"v", TensorRole::kParameter, DType::kF32, {24 * kMiB / 16, 4}}};
  const TemporaryFolder a, b;
  {
    const auto values = random_values(tensors);
    write_checkpoint(a.path(), split_replicated(tensors, 1), values);
    write_checkpoint(b.path(), split_replicated(tensors, 3), values);
  }
  // Of 48 MiB of tensors; a forked process maps its program's pages anew, MiB of them.
  EXPECT_LT(peak_of([&] {
              if (!verify_checkpoint(a.path()).problems.empty()) _exit(2);
            }),
            8 * kMiB);
  EXPECT_LT(peak_of([&] {
              CheckpointReader left(a.path()), right(b.path());
              if (!compare(left, right).equal()) _exit(2);
            }),
            16 * kMiB);
}

}  // namespace
}  // namespace trireme::launcher

#endif
