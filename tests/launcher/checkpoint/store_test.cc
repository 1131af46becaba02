#include "launcher/checkpoint/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.h"
#include "launcher/base/durable.h"
#include "tests/support/file_calls.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

class Store : public testing::Test {
 protected:
  ScratchFolder run;
  CheckpointStore store{run / "checkpoints"};

  void save(int64_t step) const {
    const fs::path temporary = store.begin();
    try {
      write_new_file(temporary / "shard-00000.safetensors", "tensors");
      store.commit(temporary, step, "manifest", "for people");
    } catch (...) {
      store.abandon(temporary);
      throw;
    }
  }

  std::vector<int64_t> steps() const {
    std::vector<int64_t> steps;
    for (const auto& entry : store.list()) steps.push_back(entry.step);
    return steps;
  }

  size_t names() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(store.folder()), {}));
  }

  // Every checkpoint that is listed is whole.
  void expect_whole() const {
    for (const auto& entry : store.list())
      for (const char* file : {"shard-00000.safetensors", "manifest.pb", "manifest.txtpb"})
        EXPECT_TRUE(fs::exists(entry.path / file)) << entry.path << " " << file;
  }
};

std::string without_uuids(std::string call) {
  for (const char* prefix : {".tmp-", ".del-"})
    for (size_t at = 0; (at = call.find(prefix, at)) != std::string::npos; at += 5)
      call.erase(at + 5, 36);
  return call;
}

TEST_F(Store, NamesAreExact) {
  EXPECT_EQ(CheckpointStore::name_of(200), "step-00000200");
  EXPECT_EQ(CheckpointStore::name_of(1234567890), "step-1234567890");
  for (const int64_t step : {int64_t{0}, int64_t{200}, int64_t{99999999}, int64_t{1234567890}})
    EXPECT_EQ(CheckpointStore::step_of(CheckpointStore::name_of(step)), step);
  for (const char* name : {"", "step-", "step-200", "step-000000200", "step-00000200x",
                           "step--0000200", "step-+0000200", "Step-00000200", "step-0000020 ",
                           "step-99999999999999999999", "refused-step-00000200-1a2b3c4d", ".tmp-1"})
    EXPECT_FALSE(CheckpointStore::step_of(name)) << name;
}

TEST_F(Store, ListsWhatIsCommittedNewestFirst) {
  EXPECT_THAT(store.list(), IsEmpty());
  for (const int64_t step : {200, 1000, 30}) save(step);
  fs::create_directory(store.folder() / "step-00000400");  // no manifest
  fs::create_directories(store.folder() / "step-00000500" / "manifest.pb");
  run.write("checkpoints/step-00000600", "a file");
  fs::create_directory_symlink("step-00000200", store.folder() / "step-00000700");
  fs::create_directory(store.folder() / "step-00000800");
  fs::create_symlink("../step-00000200/manifest.pb",
                     store.folder() / "step-00000800" / "manifest.pb");
  const fs::path temporary = store.begin();
  write_new_file(temporary / "manifest.pb", "manifest");
  EXPECT_THAT(steps(), ElementsAre(1000, 200, 30));
  EXPECT_EQ(store.list()[1].path, store.folder() / "step-00000200");
}

TEST_F(Store, FindsOneByItsPath) {
  save(200);
  const fs::path path = store.folder() / "step-00000200";
  EXPECT_EQ(CheckpointStore::at(path)->step, 200);
  EXPECT_EQ(CheckpointStore::at(path / ""), (CheckpointStore::Entry{200, path}));
  for (const fs::path& none : {fs::path(), fs::path("/"), store.folder(), path / "manifest.pb",
                               store.folder() / "step-00000201", path / "step-00000200"})
    EXPECT_FALSE(CheckpointStore::at(none)) << none;
}

TEST_F(Store, CommitsInOrder) {
  std::vector<std::string> calls;
  {
    const FileCalls watch([&](const std::string& call) {
      calls.push_back(without_uuids(call));
      const bool committed = calls.size() == 12;  // the last call follows the rename
      EXPECT_EQ(steps().size(), committed ? 1u : 0u) << call;
      return 0;
    });
    save(200);
  }
  EXPECT_THAT(calls,
              ElementsAre("mkdir checkpoints", "fsync " + run.path().filename().string(),
                          "mkdir .tmp-", "write shard-00000.safetensors",
                          "fsync shard-00000.safetensors", "write manifest.txtpb",
                          "fsync manifest.txtpb", "write manifest.pb", "fsync manifest.pb",
                          "fsync .tmp-", "rename .tmp- -> step-00000200", "fsync checkpoints"));
  EXPECT_THAT(steps(), ElementsAre(200));
  EXPECT_EQ(run.read("checkpoints/step-00000200/manifest.pb"), "manifest");
  EXPECT_EQ(run.read("checkpoints/step-00000200/manifest.txtpb"), "for people");
}

TEST_F(Store, IsForItsOwnerAlone) {
  const mode_t before = ::umask(0);
  save(200);
  ::umask(before);
  const auto mode = [&](const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  };
  EXPECT_EQ(mode(store.folder()), 0700u);
  EXPECT_EQ(mode(store.folder() / "step-00000200"), 0700u);
  for (const auto& file : fs::directory_iterator(store.folder() / "step-00000200"))
    EXPECT_EQ(mode(file.path()), 0600u) << file.path();
}

// Each call of a save fails once, in each way: the old checkpoint is there, and the new one whole
// or not at all. A short write is gone on with.
TEST_F(Store, AFailureAtAnyCallLeavesOldOrNew) {
  save(100);
  size_t count = 0;
  {
    const FileCalls watch({});
    save(200);
    count = watch.calls().size();
  }
  ASSERT_GE(count, 10u);
  int64_t step = 200;
  for (const int failure : {ENOSPC, EIO, FileCalls::kShort})
    for (size_t failing = 0; failing < count; ++failing) {
      ++step;
      size_t number = 0;
      std::string failed;
      {
        const FileCalls watch([&](const std::string& call) {
          expect_whole();
          if (number++ != failing) return 0;
          if (failure == FileCalls::kShort && !call.starts_with("write")) return 0;
          failed = without_uuids(call);
          return failure;
        });
        if (failure == FileCalls::kShort) {
          EXPECT_NO_THROW(save(step));
        } else {
          EXPECT_THROW(save(step), SystemError) << failing;
        }
      }
      expect_whole();
      const bool visible = failed == "" || failure == FileCalls::kShort ||
                           failed == "fsync checkpoints";  // after the rename
      EXPECT_EQ(steps()[0] == step, visible) << failed;
      EXPECT_EQ(names(), steps().size()) << "something stays after the failure of " << failed;
      if (visible) {
        EXPECT_EQ(fs::file_size(store.list()[0].path / "manifest.txtpb"), 10u) << failed;
      }
      EXPECT_EQ(steps().back(), 100);
    }
}

TEST_F(Store, KilledAtAnyCallLeavesOldOrNew) {
  save(100);
  for (size_t killed_at = 0; killed_at < 10; ++killed_at) {
    const int64_t step = 200 + static_cast<int64_t>(killed_at);
    const pid_t child = ::fork();
    if (child == 0) {
      size_t number = 0;
      const FileCalls watch([&](const std::string&) {
        if (number++ == killed_at) ::kill(::getpid(), SIGKILL);
        return 0;
      });
      save(step);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WIFSIGNALED(status), killed_at < 10) << killed_at;
    expect_whole();
    EXPECT_EQ(steps()[0] == step, killed_at == 9) << killed_at;
    EXPECT_EQ(steps().back(), 100);
    const bool left = killed_at > 0 && killed_at < 9;
    EXPECT_EQ(store.clean_stale().size(), left ? 1u : 0u) << killed_at;
    EXPECT_EQ(names(), steps().size());
  }
}

TEST_F(Store, DoesNotReplaceACheckpoint) {
  save(200);
  run.write("checkpoints/step-00000200/mark", "old");
  EXPECT_THROW(save(200), SystemError);
  EXPECT_EQ(run.read("checkpoints/step-00000200/mark"), "old");
  EXPECT_EQ(names(), 1u);

  // Not even one that appears while this one is being written.
  const fs::path temporary = store.begin();
  bool appeared = false;
  const FileCalls watch([&](const std::string& call) {
    if (call.starts_with("rename")) {
      run.write("checkpoints/step-00000300/manifest.pb", "of another");
      appeared = true;
    }
    return 0;
  });
  EXPECT_THROW(store.commit(temporary, 300, "manifest", ""), SystemError);
  EXPECT_TRUE(appeared);
  EXPECT_EQ(run.read("checkpoints/step-00000300/manifest.pb"), "of another");
}

TEST_F(Store, PrunesWithoutShowingAHalf) {
  for (int64_t step = 10; step <= 50; step += 10) save(step);
  const FileCalls watch([&](const std::string&) {
    expect_whole();
    return 0;
  });
  const std::vector<int64_t> best{20, 30};
  EXPECT_THAT(store.prune({.keep_last = 1, .keep_best = 1}, best), ElementsAre(10, 30, 40));
  EXPECT_THAT(steps(), ElementsAre(50, 20));
  EXPECT_EQ(names(), 2u);
  ASSERT_GE(watch.calls().size(), 4u);
  for (size_t i = 0; i < 3; ++i) EXPECT_THAT(watch.calls()[i], MatchesRegex("rename step-.*"));
  EXPECT_EQ(watch.calls()[3], "fsync checkpoints");
  EXPECT_EQ(watch.calls().size(), 4u + 3 * 4);  // three files and their folder
  EXPECT_THAT(store.prune({.keep_last = 1, .keep_best = 1}, best), IsEmpty());
}

TEST_F(Store, AFailureWhilePruningHarmsNoCheckpointAndIsMadeGood) {
  size_t count = 0;
  for (size_t failing = 0; failing == 0 || failing < count; ++failing) {
    for (int64_t step = 1; step <= 3; ++step) save(static_cast<int64_t>(failing) * 10 + step);
    const int64_t newest = steps()[0];
    {
      size_t number = 0;
      const FileCalls watch([&](const std::string&) {
        expect_whole();
        return number++ == failing ? EIO : 0;
      });
      EXPECT_THROW(store.prune({.keep_last = 1}, {}), SystemError) << failing;
    }
    expect_whole();
    EXPECT_EQ(steps()[0], newest);
    const FileCalls watch({});
    save(newest + 5);
    store.prune({.keep_last = 1}, {});
    if (failing == 0) count = 8;  // of the calls of two deletions, about
    EXPECT_THAT(steps(), ElementsAre(newest + 5));
    EXPECT_EQ(names(), 1u) << failing;
  }
}

TEST_F(Store, CleansWhatTheDeadLeft) {
  save(200);
  const fs::path temporary = store.begin();
  write_new_file(temporary / "shard-00000.safetensors", "half");
  fs::rename(store.folder() / "step-00000200", store.folder() / ".del-1");
  save(300);
  run.write("checkpoints/notes.txt", "of the user");
  EXPECT_EQ(store.clean_stale().size(), 2u);
  EXPECT_EQ(names(), 2u);
  EXPECT_THAT(steps(), ElementsAre(300));
  EXPECT_THAT(store.clean_stale(), IsEmpty());
  EXPECT_THAT(CheckpointStore(run / "none").clean_stale(), IsEmpty());
}

TEST_F(Store, RemovesNothingButItsOwn) {
  save(200);
  store.abandon(store.folder() / "step-00000200");
  store.abandon(run / "none");
  EXPECT_THAT(steps(), ElementsAre(200));

  run.write("elsewhere/file", "precious");
  fs::create_directory_symlink(run / "elsewhere", store.folder() / ".tmp-link");
  const fs::path temporary = store.begin();
  fs::create_directory_symlink(run / "elsewhere", temporary / "link");
  fs::create_directory(store.begin() / "folder");
  const std::vector<std::string> notes = store.clean_stale();
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_EQ(run.read("elsewhere/file"), "precious");
  EXPECT_FALSE(fs::exists(temporary));  // with its link
}

TEST_F(Store, SetsAsideWhatCannotBeRead) {
  save(200);
  save(300);
  const fs::path aside = store.set_aside(300);
  EXPECT_THAT(aside.filename().string(), StartsWith("refused-step-00000300-"));
  EXPECT_TRUE(fs::exists(aside / "manifest.pb"));
  EXPECT_THAT(steps(), ElementsAre(200));
  save(300);
  EXPECT_THAT(steps(), ElementsAre(300, 200));
}

TEST_F(Store, AsksForSpaceAndATenth) {
  const auto free = static_cast<int64_t>(fs::space(run.path()).available);
  EXPECT_NO_THROW(store.ensure_space(0));
  EXPECT_NO_THROW(store.ensure_space(free / 2));
  EXPECT_THROW(store.ensure_space(free / 100 * 95), SystemError);
  try {
    store.ensure_space(int64_t{1} << 62);
    FAIL();
  } catch (const SystemError& error) {
    EXPECT_EQ(error.code(), ExitCode::kInternal);
    EXPECT_THAT(error.what(), HasSubstr("GiB are free"));
  }
  EXPECT_FALSE(fs::exists(store.folder()));
}

// Root may write anywhere, so this is for another user.
TEST_F(Store, SaysThatAFolderCannotBeWritten) {
  save(100);
  fs::permissions(run.path(), fs::perms(0755));
  for (const fs::path& path : {store.folder(), store.folder() / "step-00000100"})
    fs::permissions(path, fs::perms(0555));
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);
    try {
      save(200);
    } catch (const SystemError& error) {
      const bool named = std::string(error.what()).find("Permission denied") != std::string::npos;
      ::_exit(named && steps() == std::vector<int64_t>{100} ? 0 : 3);
    }
    ::_exit(4);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (const fs::path& path : {store.folder(), store.folder() / "step-00000100"})
    fs::permissions(path, fs::perms(0700));
}

}  // namespace
}  // namespace trireme::launcher
