#include "comm/init_watch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;
const Launch kRank{.launcher = "mpirun", .rank = 1, .size = 4};

TEST(InitWatch, EndsAProcessThatDoesNotComeBack) {
  std::promise<int> ended;
  std::string said;
  const InitWatch watch(kRank, {.limit = milliseconds(30),
                                .pause = milliseconds(5),
                                .say = [&](const std::string& line) { said = line; },
                                .end = [&](int code) { ended.set_value(code); }});
  EXPECT_EQ(ended.get_future().get(), 71);
  EXPECT_EQ(said,
            "rank 1/4: hang: MPI_Init has not come back after 0.03 s; a rank may have died in it: "
            "start the job again");
}

TEST(InitWatch, IsSilentOnceTheCallCameBack) {
  int ends = 0;
  {
    const InitWatch watch(
        kRank, {.limit = milliseconds(500), .pause = milliseconds(1), .end = [&](int) { ++ends; }});
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(ends, 0);
}

// The child's child, whose parent dies, tells by the pipe with which code it ends.
TEST(InitWatch, EndsWhenTheLauncherIsGone) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t launcher = fork();
  if (launcher == 0) {
    if (fork() != 0) {
      ::usleep(50'000);
      ::_exit(0);
    }
    const InitWatch watch(kRank, {.limit = milliseconds(20'000),
                                  .pause = milliseconds(5),
                                  .say = [](const std::string&) {},
                                  .end =
                                      [&](int code) {
                                        [[maybe_unused]] auto put =
                                            ::write(pipe[1], &code, sizeof code);
                                        ::_exit(code);
                                      }});
    ::sleep(20);
    ::_exit(1);
  }
  ::close(pipe[1]);
  int code = 0;
  EXPECT_EQ(::read(pipe[0], &code, sizeof code), static_cast<ssize_t>(sizeof code));
  EXPECT_EQ(code, 70);
  ::close(pipe[0]);
  ::waitpid(launcher, nullptr, 0);
}

}  // namespace
}  // namespace trireme::comm
