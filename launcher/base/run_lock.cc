#include "launcher/base/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "core/base/error.h"
#include "launcher/base/durable.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
constexpr std::string_view kTemporary = "lock.tmp-";
constexpr size_t kMostBytes = 4096;  // of a lock that is one
constexpr RunLock::Duration kGuardPause{5};
constexpr RunLock::Duration kSettle{1000};  // two takeovers without a guard have met by then

double seconds(RunLock::Duration duration) { return static_cast<double>(duration.count()) / 1000; }

// Opens a file that must be a regular one itself. Not there: no descriptor.
FileDescriptor open_plain(const fs::path& path, int flags) {
  FileDescriptor file(::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  const int error = errno;
  if (!file && (error == ENOENT || error == ESTALE)) return file;
  struct stat status {};
  const bool odd = file ? ::fstat(file.get(), &status) == 0 && !S_ISREG(status.st_mode)
                        : error == ELOOP || error == ENXIO || error == EISDIR;
  if (odd)
    fail("{} is a link or no regular file: remove it if no run uses the folder", path.string());
  if (!file) fail_on_file("open", path, error);
  return file;
}

std::string read_start(const FileDescriptor& file, const fs::path& path) {
  std::string text(kMostBytes + 1, '\0');
  size_t got = 0;
  while (got < text.size()) {
    const ssize_t more =
        ::pread(file.get(), text.data() + got, text.size() - got, static_cast<off_t>(got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0 && errno != ESTALE) fail_on_file("read", path);
    if (more <= 0) break;
    got += static_cast<size_t>(more);
  }
  text.resize(got);
  return text;
}

}  // namespace

// What RUN/lock looks like at one moment.
struct RunLock::Seen {
  bool exists = false;
  std::string text;
  std::optional<LockOwner> owner;  // nothing: it is not what this program writes

  bool operator==(const Seen& other) const { return exists == other.exists && text == other.text; }
  std::string uuid() const { return owner ? owner->uuid : ""; }
  std::string name() const { return owner ? owner->str() : "a process that left no name"; }
};

// flock on RUN/lock.guard, which is never removed; the system lets go of it when a process dies.
class RunLock::Guard {
 public:
  Guard(const fs::path& folder, const fs::path& path, Duration patience)
      : folder_(folder),
        path_(path),
        patience_(patience),
        file_(open_plain(path, O_RDWR | O_CREAT)) {
    if (!file_) fail_on_file("create", path);
    lock();
  }

  // Whether the file system has flock at all.
  bool works() const { return works_; }

  void lock() {
    const auto end = Clock::now() + patience_;
    while (works_ && ::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) works_ = false;
      if (Clock::now() > end)
        fail(
            "run folder {} is in use: another process is just starting in it ({} is locked); wait "
            "for it, or name another with --run-dir",
            folder_.string(), path_.string());
      if (works_) std::this_thread::sleep_for(kGuardPause);
    }
  }
  void unlock() {
    if (works_) ::flock(file_.get(), LOCK_UN);
  }

 private:
  fs::path folder_, path_;
  Duration patience_;
  bool works_ = true;
  FileDescriptor file_;
};

RunLock::RunLock(fs::path run_folder, Options options)
    : folder_(std::move(run_folder)),
      path_(fs::absolute(folder_) / "lock"),
      options_(std::move(options)) {
  acquire();
  try {
    start_renewing();
  } catch (...) {
    release();
    throw;
  }
}

RunLock::~RunLock() {
  if (::getpid() != self_.pid) {  // the copy in a forked child, which has no such thread
    renewer_.detach();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  renewer_.join();
  release();
}

void RunLock::acquire() {
  Guard guard(folder_, path_.string() + ".guard", options_.guard_wait);
  while (true) {
    if (guard.works()) remove_leftovers();
    const Seen seen = look();
    if (!seen.exists) {
      if (publish()) return;
      continue;
    }
    const LockOwner::Life life = seen.owner ? seen.owner->life() : LockOwner::Life::kUnknown;
    if (life == LockOwner::Life::kAlive) refuse(seen);
    if (life == LockOwner::Life::kGone) return take_over(seen, guard, "that process is gone");

    guard.unlock();
    say(
        fmt::format("run folder {}: locked by {}, which cannot be seen from here: watching for "
                    "{:g} s whether it lives",
                    folder_.string(), seen.name(), seconds(options_.takeover_after)));
    const bool still = stands_still(seen);
    guard.lock();
    const Seen now = look();
    if (still && now == seen)
      return take_over(seen, guard,
                       fmt::format("it stood still for {:g} s", seconds(options_.takeover_after)));
    if (now.exists && now.uuid() == seen.uuid()) refuse(now);
  }
}

RunLock::Seen RunLock::look() const {
  const FileDescriptor file = open_plain(path_, O_RDONLY);
  if (!file) return {};
  Seen seen{.exists = true, .text = read_start(file, path_), .owner = {}};
  if (seen.text.size() <= kMostBytes) seen.owner = LockOwner::parse(seen.text);
  return seen;
}

// The file is opened anew at each look: that is when a network file system asks its server.
bool RunLock::stands_still(const Seen& first) const {
  const auto end = Clock::now() + options_.takeover_after;
  const Duration pause = std::min(options_.takeover_after / 20 + Duration(1), Duration(250));
  while (Clock::now() < end) {
    std::this_thread::sleep_for(pause);
    if (!(look() == first)) return false;
  }
  return true;
}

fs::path RunLock::write_temporary() {
  const fs::path temporary = path_.parent_path() / (std::string(kTemporary) + self_.uuid);
  write_new_file(temporary, self_.encode(0));
  file_ = open_plain(temporary, O_WRONLY);
  if (!file_) fail_on_file("open", temporary, ENOENT);
  return temporary;
}

// A link appears with all its contents, and fails if the name is taken, on network file systems
// too; where there are no links, such a rename does the same.
bool RunLock::publish() {
  const fs::path temporary = write_temporary();
  const bool linked = ::link(temporary.c_str(), path_.c_str()) == 0;
  bool done = linked;
  if (!linked && errno != EEXIST)
    done = ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0;
  const int error = done ? 0 : errno;
  if (linked || !done) ::unlink(temporary.c_str());
  if (!done && error != EEXIST) fail_on_file("create", path_, error);
  return done;
}

void RunLock::take_over(const Seen& seen, const Guard& guard, const std::string& why) {
  const fs::path temporary = write_temporary();
  if (::rename(temporary.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_on_file("replace", path_, error);
  }
  if (!guard.works()) {
    std::this_thread::sleep_for(kSettle);
    if (!still_mine()) refuse(look());
  }
  say(fmt::format("run folder {}: the lock of {} is taken over: {}", folder_.string(), seen.name(),
                  why));
}

// Of starts that were killed: with the guard in hand, nobody is writing one.
void RunLock::remove_leftovers() const {
  std::error_code error;
  for (fs::directory_iterator entry(path_.parent_path(), error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().filename().string().starts_with(kTemporary)) ::unlink(entry->path().c_str());
}

// The thread gets no signals: these are for the run.
void RunLock::start_renewing() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    renewer_ = std::thread([this] { renew(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// A failure is passed over: if the disk is gone for long, somebody takes over, and still_mine()
// tells.
void RunLock::renew() {
  std::unique_lock lock(mutex_);
  const auto stopping = [this] { return stop_; };
  for (uint64_t counter = 1; !stop_changed_.wait_for(lock, options_.renew_every, stopping);
       ++counter) {
    const std::string digits = LockOwner::digits(counter);
    const ssize_t put = ::pwrite(file_.get(), digits.data(), digits.size(), self_.counter_offset());
    if (put > 0) ::fdatasync(file_.get());  // else a network file system would keep it for a while
  }
}

bool RunLock::still_mine() const {
  if (lost_) return false;
  try {
    const Seen seen = look();
    if (seen.uuid() == self_.uuid) return true;
  } catch (const SystemError&) {
    return false;
  } catch (const InvalidArgument&) {  // no regular file any more
  }
  lost_ = true;
  return false;
}

void RunLock::release() noexcept {
  try {
    Guard guard(folder_, path_.string() + ".guard", options_.guard_wait);
    if (still_mine()) ::unlink(path_.c_str());
  } catch (const std::exception&) {  // whoever comes next finds that this process is gone
  }
}

void RunLock::refuse(const Seen& seen) const {
  fail("run folder {} is in use by {}: wait for it, or name another with --run-dir",
       folder_.string(), seen.name());
}

void RunLock::say(const std::string& text) const {
  if (options_.say) options_.say(text);
}

}  // namespace trireme::launcher
