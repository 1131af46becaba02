#include "launcher/base/atomic.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <system_error>

#include "core/base/error.h"
#include "launcher/base/uuid.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

// Renaming a file replaces one that is there; renaming a folder replaces an empty one alone.
void move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_on_file("rename", from);
  sync_folder(parent_of(to));
}

}  // namespace

AtomicFile::AtomicFile(fs::path path)
    : path_(std::move(path)), temporary_(path_.string() + fmt::format(".tmp-{}", ::getpid())) {
  // Of a process that was killed and had this one's number.
  if (::unlink(temporary_.c_str()) != 0 && errno != ENOENT) fail_on_file("replace", temporary_);
  file_.emplace(temporary_);
}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  file_->flush();
  move(temporary_, path_);
  committed_ = true;
}

void write_atomically(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), std::ssize(text));
  file.commit();
}

AtomicFolder::AtomicFolder(fs::path path)
    : path_(path.has_filename() ? std::move(path) : path.parent_path()),  // "out/"
      temporary_(parent_of(path_) / (".tmp-" + make_uuid())) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(path_, error)))
    fail("{}: is there already; name another, nothing is ever overwritten", path_.string());
  if (!fs::is_directory(parent_of(path_), error))
    fail("{}: there is no folder {} to make it in", path_.string(), parent_of(path_).string());
  if (::mkdir(temporary_.c_str(), 0700) != 0) fail_on_file("create", temporary_);
}

AtomicFolder::~AtomicFolder() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  sync_folder(temporary_);
  move(temporary_, path_);
  committed_ = true;
}

}  // namespace trireme::launcher
