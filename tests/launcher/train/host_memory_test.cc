// The memory that a host has left, of copies of the kernel's files.
#include "launcher/train/host_memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kMiB = 1 << 20;

struct Host {
  Host() {
    write("proc/meminfo", "MemTotal: 4194304 kB\nMemFree: 1024 kB\nMemAvailable:    3145728 kB\n");
  }
  void write(const std::filesystem::path& name, const std::string& text) {
    std::filesystem::create_directories((scratch.path() / name).parent_path());
    std::ofstream(scratch.path() / name) << text;
  }
  std::optional<int64_t> available() const { return available_host_memory(scratch.path()); }

  ScratchFolder scratch;
};

TEST(HostMemory, IsWhatIsAvailableAndTheSwap) {
  Host host;
  EXPECT_EQ(host.available(), 3072 * kMiB);
  host.write("proc/meminfo", "MemAvailable: 2048 kB\nSwapTotal: 9999 kB\nSwapFree:\t 1024 kB\n");
  EXPECT_EQ(host.available(), 3 * kMiB);
}

TEST(HostMemory, IsUnknownWithoutTheKernelsFiles) {
  const ScratchFolder empty;
  EXPECT_EQ(available_host_memory(empty.path()), std::nullopt);
}

TEST(HostMemory, IsWhatTheTightestControlGroupLeaves) {
  Host host;
  host.write("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  host.write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  host.write("sys/fs/cgroup/slurm/job_7/step_0/memory.current", "1048576\n");
  EXPECT_EQ(host.available(), 3072 * kMiB);
  host.write("sys/fs/cgroup/slurm/job_7/memory.max", "1073741824\n");
  host.write("sys/fs/cgroup/slurm/job_7/memory.current", "419430400\n");
  EXPECT_EQ(host.available(), (1024 - 400) * kMiB);
  // Pages of files make room when they must; those of shared memory do not.
  host.write("sys/fs/cgroup/slurm/job_7/memory.stat",
             "anon 209715200\nfile 209715200\nshmem 1048576\ninactive_file 104857600\n"
             "active_file 52428800\n");
  EXPECT_EQ(host.available(), (1024 - 250) * kMiB);
}

TEST(HostMemory, KnowsTheFirstVersionOfControlGroups) {
  Host host;
  host.write("proc/self/cgroup", "5:devices:/a\n4:memory:/a/b\n0::/\n");
  host.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  host.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "4096\n");
  EXPECT_EQ(host.available(), 3072 * kMiB);
  host.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "104857600\n");
  host.write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "62914560\n");
  host.write("sys/fs/cgroup/memory/a/memory.stat",
             "inactive_file 1\ntotal_inactive_file 20971520\n");
  EXPECT_EQ(host.available(), 60 * kMiB);
  // Used up, and more: what was there before the limit was set.
  host.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n");
  EXPECT_EQ(host.available(), 0);
}

TEST(HostMemory, OfThisHostIsKnown) { EXPECT_GT(available_host_memory().value(), kMiB); }

}  // namespace
}  // namespace trireme::launcher
