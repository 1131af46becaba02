#include "launcher/base/run_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/error.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

RunLock::Options quick() {
  return {.renew_every = 20ms, .takeover_after = 400ms, .guard_wait = 1s};
}

// "" if the lock could be had.
std::string refusal(const ScratchFolder& run, const RunLock::Options& options = quick()) {
  try {
    RunLock lock(run.path(), options);
    EXPECT_TRUE(lock.still_mine());
    return "";
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
}

struct Attempt {
  std::string refused;
  Clock::duration took;
  std::vector<std::string> said;
};

Attempt attempt(const ScratchFolder& run) {
  Attempt result;
  RunLock::Options options = quick();
  options.say = [&](const std::string& text) { result.said.push_back(text); };
  const auto start = Clock::now();
  result.refused = refusal(run, options);
  result.took = Clock::now() - start;
  return result;
}

// A child process that runs `body` and then exits without destructors.
class Child {
 public:
  template <typename Body>
  explicit Child(Body body) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      body();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ~Child() { kill(); }
  Child(const Child&) = delete;

  pid_t pid() const { return pid_; }
  int wait() {
    int status = -1;
    if (!reaped_) ::waitpid(pid_, &status, 0);
    reaped_ = true;
    return status;
  }
  void kill() {
    if (reaped_) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

class Pipe {
 public:
  Pipe() {
    if (::pipe(ends_.data()) != 0) throw SystemError("no pipe");
  }
  ~Pipe() {
    close_write();
    ::close(ends_[0]);
  }
  void put(char c) const { ASSERT_EQ(::write(ends_[1], &c, 1), 1); }
  char get() const {  // 0: every writer has closed it
    char c = 0;
    return ::read(ends_[0], &c, 1) == 1 ? c : '\0';
  }
  void close_write() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

LockOwner elsewhere() {
  LockOwner owner = LockOwner::self();
  owner.host = "node07";
  owner.boot = "11111111-2222-3333-4444-555555555555";
  return owner;
}

TEST(RunLock, RefusesASecondAndNamesTheFirst) {
  const ScratchFolder run;
  const RunLock first(run.path(), quick());
  EXPECT_TRUE(first.still_mine());
  EXPECT_THAT(refusal(run), AllOf(StartsWith("run folder " + run.path().string() +
                                             " is in use by pid " + std::to_string(::getpid())),
                                  HasSubstr("name another with --run-dir")));
  EXPECT_TRUE(first.still_mine());
}

TEST(RunLock, LeavesOnlyItsGuard) {
  const ScratchFolder run;
  { const RunLock lock(run.path(), quick()); }
  EXPECT_FALSE(run.has("lock"));
  EXPECT_EQ(std::distance(fs::directory_iterator(run.path()), {}), 1);
  EXPECT_EQ(refusal(run), "");
}

TEST(RunLock, IsOneLineOfJsonForItsOwnerAlone) {
  const ScratchFolder run;
  const RunLock lock(run.path(), quick());
  const auto json = nlohmann::json::parse(run.read("lock"));
  EXPECT_EQ(json["pid"], ::getpid());
  struct stat status {};
  for (const char* name : {"lock", "lock.guard"}) {
    ASSERT_EQ(::stat((run / name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
}

TEST(RunLock, RenewsItsCounter) {
  const ScratchFolder run;
  const RunLock lock(run.path(), quick());
  const auto counter = [&] {
    return std::stoll(nlohmann::json::parse(run.read("lock"))["counter"].get<std::string>());
  };
  const auto first = counter();
  const auto end = Clock::now() + 10s;
  while (counter() < first + 3 && Clock::now() < end) std::this_thread::sleep_for(5ms);
  EXPECT_GE(counter(), first + 3);
  EXPECT_TRUE(LockOwner::parse(run.read("lock")).has_value());
  EXPECT_TRUE(lock.still_mine());
}

// In every second round the lock of a process that died lies there already.
TEST(RunLock, OneOfTwoThatStartTogetherGetsIt) {
  const ScratchFolder run;
  int refused = 0;
  for (int round = 0; round < 100; ++round) {
    Pipe start, results, end;
    const auto contend = [&] {
      start.close_write();
      end.close_write();
      start.get();
      std::unique_ptr<RunLock> lock;
      try {
        lock = std::make_unique<RunLock>(run.path());
      } catch (const InvalidArgument&) {
      }
      results.put(lock && lock->still_mine() ? 'h' : 'r');
      end.get();
      if (round % 2 == 0) lock.reset();  // else the lock stays
    };
    Child first(contend), second(contend);
    start.close_write();
    const std::string both{results.get(), results.get()};
    EXPECT_TRUE(both == "hr" || both == "rh") << both << " in round " << round;
    refused += both[0] == 'r' || both[1] == 'r';
    end.close_write();
    EXPECT_EQ(first.wait(), 0);
    EXPECT_EQ(second.wait(), 0);
  }
  EXPECT_EQ(refused, 100);
}

TEST(RunLock, OfADeadProcessIsTakenOverAtOnce) {
  const ScratchFolder run;
  Child child([&] { new RunLock(run.path()); });
  ASSERT_EQ(child.wait(), 0);
  ASSERT_TRUE(run.has("lock"));
  const Attempt second = attempt(run);
  EXPECT_EQ(second.refused, "");
  EXPECT_LT(second.took, 300ms);
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
  std::this_thread::sleep_for(500ms);  // longer than a lock from elsewhere may stand still
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
  EXPECT_LT(second.took, 300ms);
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
    EXPECT_GE(second.took, 400ms);
    ASSERT_EQ(second.said.size(), 2u);
    EXPECT_THAT(second.said[0], HasSubstr("watching for 0.4 s whether it lives"));
    EXPECT_THAT(second.said[1], HasSubstr("is taken over: it stood still for 0.4 s"));
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
  const Attempt second = attempt(run);
  alive.join();
  EXPECT_THAT(second.refused,
              HasSubstr("is in use by pid " + std::to_string(owner.pid) + " on node07 since"));
  EXPECT_LT(second.took, 400ms);
  EXPECT_EQ(run.read("lock"), owner.encode(8));
}

TEST(RunLock, FromElsewhereThatIsGivenBackMeanwhileIsHad) {
  const ScratchFolder run;
  run.write("lock", elsewhere().encode(7));
  std::thread ends([&] {
    std::this_thread::sleep_for(100ms);
    fs::remove(run / "lock");
  });
  const Attempt second = attempt(run);
  ends.join();
  EXPECT_EQ(second.refused, "");
  EXPECT_LT(second.took, 400ms);
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
      EXPECT_GE(watched.took, 400ms);
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
    EXPECT_GE(second.took, 400ms);
    ASSERT_EQ(second.said.size(), 2u);
    EXPECT_THAT(second.said[0], HasSubstr("a process that left no name"));
  }
}

TEST(RunLock, ThatIsNoFileIsRefusedAndNotTouched) {
  for (const char* name : {"lock", "lock.guard"}) {
    const ScratchFolder run;
    run.write("target", "precious");
    fs::create_symlink("target", run / name);
    EXPECT_THAT(refusal(run), HasSubstr("is a link or no regular file"));
    EXPECT_TRUE(fs::is_symlink(run / name));
    EXPECT_EQ(run.read("target"), "precious");
    fs::remove(run / name);

    fs::create_symlink("nowhere", run / name);
    EXPECT_THAT(refusal(run), HasSubstr("is a link or no regular file"));
    EXPECT_FALSE(run.has("nowhere"));
    fs::remove(run / name);

    fs::create_directory(run / name);
    EXPECT_THAT(refusal(run), HasSubstr("is a link or no regular file"));
    fs::remove(run / name);

    ASSERT_EQ(::mkfifo((run / name).c_str(), 0600), 0);
    EXPECT_THAT(refusal(run), HasSubstr("is a link or no regular file"));
  }
}

TEST(RunLock, NoticesThatItWasLost) {
  using Loss = void (*)(const ScratchFolder&);
  const Loss losses[] = {[](const ScratchFolder& run) { run.write("lock", elsewhere().encode(0)); },
                         [](const ScratchFolder& run) { fs::remove(run / "lock"); },
                         [](const ScratchFolder& run) { run.write("lock", "garbage"); },
                         [](const ScratchFolder& run) {
                           fs::rename(run / "lock", run / "target");
                           fs::create_symlink("target", run / "lock");
                         }};
  for (const Loss& lose : losses) {
    const ScratchFolder run;
    std::string left;
    {
      const RunLock lock(run.path(), quick());
      const std::string own = run.read("lock");
      lose(run);
      EXPECT_FALSE(lock.still_mine());
      left = run.read("lock");
      std::this_thread::sleep_for(50ms);  // a renewal or two
      fs::remove(run / "lock");
      run.write("lock", own);
      EXPECT_FALSE(lock.still_mine());  // once lost, lost
      fs::remove(run / "lock");
      run.write("lock", left);
    }
    EXPECT_EQ(run.read("lock"), left);  // and not removed by who lost it
  }
}

TEST(RunLock, AForkedChildDoesNotGiveItBack) {
  const ScratchFolder run;
  auto lock = std::make_unique<RunLock>(run.path(), quick());
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
  EXPECT_LT(second.took, 3s);
}

TEST(RunLock, KilledAtAnyInstantLeavesNothingThatBlocks) {
  const ScratchFolder run;
  std::mt19937 random(1);
  int left_a_lock = 0;
  for (int round = 0; round < 100; ++round) {
    Pipe begun;
    Child child([&] {
      begun.put('b');
      while (true) RunLock(run.path(), quick());
    });
    ASSERT_EQ(begun.get(), 'b');
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    child.kill();
    left_a_lock += run.has("lock");
    const Attempt next = attempt(run);
    ASSERT_EQ(next.refused, "") << "round " << round;
    EXPECT_LT(next.took, 300ms);
    ASSERT_EQ(std::distance(fs::directory_iterator(run.path()), {}), 1) << "round " << round;
  }
  EXPECT_GT(left_a_lock, 5);
  EXPECT_LT(left_a_lock, 95);
}

TEST(RunLock, SaysWhatTheSystemSaysOfAFolderThatCannotBeWritten) {
  EXPECT_THROW(RunLock("/proc/self/fdinfo", quick()), SystemError);
  EXPECT_THROW(RunLock("/no/such/folder", quick()), SystemError);
}

TEST(LockOwner, ReadsBackWhatItWrites) {
  const LockOwner owner = LockOwner::self();
  const std::string text = owner.encode(12);
  EXPECT_EQ(text.substr(static_cast<size_t>(owner.counter_offset()), LockOwner::kDigits),
            LockOwner::digits(12));
  const auto again = LockOwner::parse(text);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->encode(12), text);
  EXPECT_EQ(again->life(), LockOwner::Life::kAlive);
  EXPECT_EQ(elsewhere().life(), LockOwner::Life::kUnknown);
}

TEST(LockOwner, RefusesWhatItDoesNotWrite) {
  const std::string good = LockOwner::self().encode(1);
  for (size_t length = 0; length + 1 < good.size(); ++length)
    EXPECT_FALSE(LockOwner::parse(good.substr(0, length))) << length;
  const auto with = [&](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(good);
    json[key] = value;
    return LockOwner::parse(json.dump());
  };
  EXPECT_FALSE(with("host", "a\nb"));
  EXPECT_FALSE(with("host", std::string(300, 'a')));
  EXPECT_FALSE(with("uuid", ""));
  EXPECT_FALSE(with("pid", 0));
  EXPECT_FALSE(with("pid", "1"));
  EXPECT_FALSE(with("counter", "1"));
  EXPECT_FALSE(with("counter", 1));
  EXPECT_FALSE(with("since", "\x1b[31m"));
}

}  // namespace
}  // namespace trireme::launcher
