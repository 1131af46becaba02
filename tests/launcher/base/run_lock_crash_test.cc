#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "core/base/error.h"
#include "launcher/base/run_lock.h"
#include "tests/launcher/base/lock_attempts.h"
#include "tests/support/child_process.h"
#include "tests/support/file_calls.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

using testing::HasSubstr;

TEST(RunLock, AForkedChildDoesNotGiveItBack) {
  const ScratchFolder run;
  auto lock = std::make_unique<RunLock>(run.path());
  std::this_thread::sleep_for(50ms);  // its thread waits by now
  Child child([&] { lock.reset(); });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(lock->still_mine());
}

TEST(RunLock, AStoppedStarterDoesNotHoldUpOthersForLong) {
  const ScratchFolder run;
  run.write("lock.guard", "");
  const FileDescriptor held(::open((run / "lock.guard").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  const Attempt second = attempt(run);
  EXPECT_THAT(second.refused, HasSubstr("another process is just starting in it"));
  EXPECT_GE(second.took, 1s);
  EXPECT_LT(second.took, 1min);
}

// Once in a fresh folder, once where the lock of a dead process lies.
TEST(RunLock, KilledAtAnyCallLeavesNothingThatBlocks) {
  for (const bool taking_over : {false, true}) {
    const ScratchFolder run;
    bool killed = true;
    for (size_t at = 0; killed; ++at) {
      if (taking_over) Child([&] { new RunLock(run.path(), quick()); }).wait();
      Child child([&] {
        size_t number = 0;
        const FileCalls watch([&](const std::string&) {
          if (number++ == at) ::kill(::getpid(), SIGKILL);
          return 0;
        });
        RunLock(run.path(), quick());
      });
      killed = WIFSIGNALED(child.wait());
      expect_free(run, "killed before call " + std::to_string(at));
      EXPECT_TRUE(killed || at >= 4) << at;
    }
  }
}

TEST(RunLock, KilledAtAnyInstantLeavesNothingThatBlocks) {
  const ScratchFolder run;
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    Pipe begun;
    Child child([&] {
      begun.put('b');
      while (true) RunLock(run.path(), quick());
    });
    ASSERT_EQ(begun.get(), 'b');
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    child.kill();
    expect_free(run, "round " + std::to_string(round));
  }
}

}  // namespace
}  // namespace trireme::launcher
