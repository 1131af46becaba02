#include "launcher/checkpoint/beneath.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

// From here on this process's openat2 fails with `error`, as in an old kernel or a container.
void forbid_openat2(unsigned error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0 ||
      ::syscall(SYS_openat2, -1, "", nullptr, 0) != -1 || errno != static_cast<int>(error))
    _exit(3);
}

// Returns 0 if what belongs opens and what does not is refused.
int opens_only_regular_files(const fs::path& path) {
  const BeneathFolder folder(path);
  const auto refused = [&](const std::string& name) {
    return !refusal_of([&] { folder.open(name); }).empty();
  };
  std::string text(2, '\0');
  const OpenedFile file = folder.open("file");
  read_or_refuse(file, 1, text.data(), 2);
  return file.bytes == 3 && text == "bc" && refused("link") && refused("folder") &&
                 refused("fifo") && refused("socket") && refused("missing")
             ? 0
             : 1;
}

class Beneath : public testing::Test {
 protected:
  Beneath() {
    write_file(folder_ / "file", "abc");
    fs::create_symlink("file", folder_ / "link");
    fs::create_directory(folder_ / "folder");
    EXPECT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
    const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    (folder_ / "socket").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
  }
  const TemporaryFolder folder_;
};

TEST_F(Beneath, OpensOnlyRegularFiles) { EXPECT_EQ(opens_only_regular_files(folder_.path()), 0); }

TEST_F(Beneath, AlsoWhereThereIsNoOpenat2) {
  for (const unsigned error : {ENOSYS, EPERM}) {
    const pid_t child = ::fork();
    if (child == 0) {
      forbid_openat2(error);
      _exit(opens_only_regular_files(folder_.path()));
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0) << error;
  }
}

TEST_F(Beneath, SaysWhatItIs) {
  const BeneathFolder folder(folder_.path());
  const auto refusal = [&](const std::string& name) {
    return refusal_of([&] { folder.open(name); }, folder_.path());
  };
  EXPECT_EQ(refusal("link"), "link: is a symbolic link, expected a regular file");
  EXPECT_EQ(refusal("socket"), "socket: is a socket, expected a regular file");
  EXPECT_EQ(refusal("missing"), "missing: is missing");
  EXPECT_EQ(refusal_of([&] { read_or_refuse(folder.open("file"), 2, nullptr, 0); }), "");
  char byte[2];
  EXPECT_EQ(refusal_of([&] { read_or_refuse(folder.open("file"), 2, byte, 2); }, folder_.path()),
            "file: cannot be read at byte 2: it ends before");
}

}  // namespace
}  // namespace trireme::launcher
