#include "launcher/base/run_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "tests/launcher/base/lock_attempts.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

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
        results.put(lock->still_mine() ? 'h' : 'l');
      } catch (const InvalidArgument&) {
        results.put('r');
      } catch (const SystemError&) {
        results.put('e');
      }
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

TEST(RunLock, SaysWhatTheSystemSaysOfAFolderThatCannotBeWritten) {
  EXPECT_THROW(RunLock("/proc/self/fdinfo", quick()), SystemError);
  EXPECT_THROW(RunLock("/no/such/folder", quick()), SystemError);
}

}  // namespace
}  // namespace trireme::launcher
