#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "launcher/base/run_lock.h"
#include "tests/launcher/base/lock_attempts.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

TEST(RunLock, OfADeadProcessIsTakenOverAtOnce) {
  const ScratchFolder run;
  Child child([&] { new RunLock(run.path()); });
  ASSERT_EQ(child.wait(), 0);
  ASSERT_TRUE(run.has("lock"));
  const Attempt second = attempt(run);
  EXPECT_EQ(second.refused, "");
  EXPECT_FALSE(second.watched());
  ASSERT_EQ(second.said.size(), 1u);
  EXPECT_THAT(second.said[0], AllOf(HasSubstr("pid " + std::to_string(child.pid())),
                                    HasSubstr("is taken over: that process is gone")));
}

TEST(RunLock, OfAProcessThatNobodyHasReapedIsTakenOverAtOnce) {
  const ScratchFolder run;
  Pipe locked;
  Child child([&] {
    new RunLock(run.path());
    locked.put('l');
    ::pause();
  });
  ASSERT_EQ(locked.get(), 'l');
  EXPECT_NE(refusal(run), "");
  ASSERT_EQ(::kill(child.pid(), SIGKILL), 0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT), 0);
  ASSERT_TRUE(fs::exists("/proc/" + std::to_string(child.pid())));
  EXPECT_EQ(refusal(run), "");
}

TEST(RunLock, OfAStoppedProcessIsRefused) {
  const ScratchFolder run;
  Pipe locked;
  Child child([&] {
    new RunLock(run.path(), quick());
    locked.put('l');
    ::pause();
  });
  ASSERT_EQ(locked.get(), 'l');
  ASSERT_EQ(::kill(child.pid(), SIGSTOP), 0);
  std::this_thread::sleep_for(300ms);  // longer than a lock from elsewhere may stand still
  EXPECT_THAT(refusal(run), HasSubstr("in use by pid " + std::to_string(child.pid())));
}

TEST(RunLock, OfAPidThatAnotherProcessHasNowIsTakenOver) {
  const ScratchFolder run;
  LockOwner owner = LockOwner::self();
  run.write("lock", owner.encode(7));
  EXPECT_NE(refusal(run), "");  // this very process
  owner.start_time -= 1;
  run.write("lock", owner.encode(7));
  const Attempt second = attempt(run);
  EXPECT_EQ(second.refused, "");
  EXPECT_FALSE(second.watched());
}

TEST(RunLock, FromElsewhereIsTakenOverOnlyAfterItStoodStill) {
  for (const bool other_namespace : {false, true}) {
    const ScratchFolder run;
    LockOwner owner = elsewhere();
    if (other_namespace) {
      owner = LockOwner::self();
      owner.pid_namespace += 1;
    }
    run.write("lock", owner.encode(7));
    const Attempt second = attempt(run);
    EXPECT_EQ(second.refused, "");
    EXPECT_GE(second.took, 150ms);
    ASSERT_EQ(second.said.size(), 2u);
    EXPECT_THAT(second.said[0], HasSubstr("watching for 0.15 s whether it lives"));
    EXPECT_THAT(second.said[1], HasSubstr("is taken over: it stood still for 0.15 s"));
  }
}

TEST(RunLock, FromElsewhereIsRefusedWhenItMoves) {
  const ScratchFolder run;
  const LockOwner owner = elsewhere();
  run.write("lock", owner.encode(7));
  std::thread alive([&] {
    std::this_thread::sleep_for(100ms);
    const FileDescriptor file(::open((run / "lock").c_str(), O_WRONLY));
    const std::string digits = LockOwner::digits(8);
    EXPECT_EQ(::pwrite(file.get(), digits.data(), digits.size(), owner.counter_offset()),
              LockOwner::kDigits);
  });
  RunLock::Options patient = quick();
  patient.takeover_after = 1min;
  const Attempt second = attempt(run, patient);
  alive.join();
  EXPECT_THAT(second.refused,
              HasSubstr("is in use by pid " + std::to_string(owner.pid) + " on node07 since"));
  EXPECT_LT(second.took, 1min);
  EXPECT_EQ(run.read("lock"), owner.encode(8));
}

TEST(RunLock, FromElsewhereThatIsGivenBackMeanwhileIsHad) {
  const ScratchFolder run;
  run.write("lock", elsewhere().encode(7));
  std::thread ends([&] {
    std::this_thread::sleep_for(100ms);
    fs::remove(run / "lock");
  });
  RunLock::Options patient = quick();
  patient.takeover_after = 1min;
  const Attempt second = attempt(run, patient);
  ends.join();
  EXPECT_EQ(second.refused, "");
  EXPECT_LT(second.took, 1min);
}

// The wall clock of the owner, or of this machine, may be wrong by any amount.
TEST(RunLock, DecidesNothingByTheWallClock) {
  for (const char* since : {"1970-01-01 00:00:00 UTC", "2999-12-31 23:59:59 UTC"})
    for (const time_t shift : {-86400, 0, 86400}) {
      const ScratchFolder run;
      const auto place = [&](LockOwner owner) {
        owner.since = since;
        run.write("lock", owner.encode(7));
        const timespec then{.tv_sec = ::time(nullptr) + shift, .tv_nsec = 0};
        const std::array<timespec, 2> times{then, then};
        ASSERT_EQ(::utimensat(AT_FDCWD, (run / "lock").c_str(), times.data(), 0), 0);
      };
      place(LockOwner::self());
      EXPECT_NE(attempt(run).refused, "");
      LockOwner dead = LockOwner::self();
      dead.start_time -= 1;
      place(dead);
      EXPECT_EQ(attempt(run).refused, "");
      place(elsewhere());
      const Attempt watched = attempt(run);
      EXPECT_EQ(watched.refused, "");
      EXPECT_GE(watched.took, 150ms);
    }
}

TEST(RunLock, ThatIsGarbageIsWatchedAndThenReplaced) {
  const std::string whole = elsewhere().encode(1);
  const std::string other = R"({"host": "a b", "pid": 1})";
  for (const std::string& text :
       {std::string(), std::string("\0\0\0", 3), std::string("lock\n"),
        whole.substr(0, whole.size() / 2), other, std::string(100000, '[')}) {
    const ScratchFolder run;
    run.write("lock", text);
    const Attempt second = attempt(run);
    EXPECT_EQ(second.refused, "") << text.substr(0, 40);
    EXPECT_GE(second.took, 150ms);
    ASSERT_EQ(second.said.size(), 2u);
    EXPECT_THAT(second.said[0], HasSubstr("a process that left no name"));
  }
}

}  // namespace
}  // namespace trireme::launcher
