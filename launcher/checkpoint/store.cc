#include "launcher/checkpoint/store.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <system_error>

#include "core/base/error.h"
#include "launcher/base/durable.h"
#include "launcher/base/uuid.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kStep = "step-", kWriting = ".tmp-", kDeleting = ".del-";
constexpr int64_t kMostSteps = int64_t{1} << 53;

// What is at `path` itself, no link followed; 0 if there is nothing.
mode_t mode_of(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return status.st_mode;
  if (errno != ENOENT && errno != ENOTDIR) fail_on_file("look at", path);
  return 0;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return {};
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error))
    entries.push_back(entry->path());
  if (error) fail_on_file("list", folder, error.value());
  return entries;
}

// Checkpoints have no folders inside: no recursion. A link is removed itself, never followed.
void remove_folder(const fs::path& folder) {
  if (const mode_t mode = mode_of(folder); mode != 0 && !S_ISDIR(mode)) {
    if (::unlink(folder.c_str()) != 0) fail_on_file("remove", folder);
    return;
  }
  for (const fs::path& file : entries_of(folder))
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) fail_on_file("remove", file);
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) fail_on_file("remove", folder);
}

// Renaming a folder to a folder that is there fails unless that is empty: nothing is replaced.
void move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    fail_on_file(fmt::format("rename to {}", to.filename().string()).c_str(), from);
}

fs::path existing_part(fs::path path) {
  while (mode_of(path) == 0 && path.has_parent_path() && path != path.parent_path())
    path = path.parent_path();
  return mode_of(path) == 0 ? fs::path(".") : path;
}

double gib(double bytes) { return bytes / (1 << 30); }

}  // namespace

std::string CheckpointStore::name_of(int64_t step) { return fmt::format("step-{:08}", step); }

std::optional<int64_t> CheckpointStore::step_of(std::string_view name) {
  if (!name.starts_with(kStep)) return {};
  int64_t step = -1;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kStep.size(), end, step);
  const bool whole = error == std::errc() && stop == end && step >= 0 && step <= kMostSteps;
  if (!whole || name != name_of(step)) return {};
  return step;
}

std::optional<CheckpointStore::Entry> CheckpointStore::at(const fs::path& path) {
  const fs::path folder = path.has_filename() ? path : path.parent_path();  // "step-00000200/"
  const std::optional<int64_t> step = step_of(folder.filename().string());
  if (!step || !S_ISDIR(mode_of(folder)) || !S_ISREG(mode_of(folder / kManifest))) return {};
  return Entry{*step, folder};
}

std::vector<CheckpointStore::Entry> CheckpointStore::list() const {
  std::vector<Entry> found;
  for (const fs::path& path : entries_of(folder_))
    if (auto entry = at(path)) found.push_back(std::move(*entry));
  std::ranges::sort(found, std::greater<>(), &Entry::step);
  return found;
}

void CheckpointStore::ensure_space(int64_t bytes) const {
  struct statvfs disk {};
  const fs::path place = existing_part(folder_);
  if (::statvfs(place.c_str(), &disk) != 0) fail_on_file("ask for the free space of", place);
  const double needed = static_cast<double>(bytes) * 1.1;
  const double free = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
  if (free < needed)
    throw SystemError(fmt::format(
        "[checkpoint] no space for a checkpoint in {}: it needs {:.3f} GiB with a tenth "
        "to spare, {:.3f} GiB are free",
        folder_.string(), gib(needed), gib(free)));
}

fs::path CheckpointStore::begin() const {
  if (mode_of(folder_) == 0) {
    make_folder(folder_);
    sync_folder(parent_of(folder_));
  }
  const fs::path temporary = folder_ / (std::string(kWriting) + make_uuid());
  if (::mkdir(temporary.c_str(), 0700) != 0) fail_on_file("create", temporary);
  return temporary;
}

fs::path CheckpointStore::commit(const fs::path& temporary, int64_t step, std::string_view manifest,
                                 std::string_view text_for_people) const {
  const fs::path committed = folder_ / name_of(step);
  if (mode_of(committed) != 0) fail_on_file("commit", committed, EEXIST);
  write_new_file(temporary / kManifestText, text_for_people);
  write_new_file(temporary / kManifest, manifest);
  sync_folder(temporary);
  move(temporary, committed);
  sync_folder(folder_);
  return committed;
}

void CheckpointStore::abandon(const fs::path& temporary) const noexcept {
  try {
    if (temporary.filename().string().starts_with(kWriting)) remove_folder(temporary);
  } catch (const std::exception&) {  // the next start's clean_stale() removes it
  }
}

std::vector<std::string> CheckpointStore::clean_stale() const {
  std::vector<std::string> notes;
  for (const fs::path& path : entries_of(folder_)) {
    const std::string name = path.filename().string();
    if (!name.starts_with(kWriting) && !name.starts_with(kDeleting)) continue;
    try {
      remove_folder(path);
      notes.push_back(fmt::format("removed {}, which a run that was killed left", path.string()));
    } catch (const SystemError& error) {
      notes.push_back(fmt::format("{} stays: {}", path.string(), error.what()));
    }
  }
  return notes;
}

std::vector<int64_t> CheckpointStore::prune(const RetentionOptions& options,
                                            std::span<const int64_t> best) const {
  std::vector<int64_t> steps;
  for (const Entry& entry : list()) steps.push_back(entry.step);
  const std::vector<int64_t> gone = expendable(steps, options, best);
  for (const int64_t step : gone)
    move(folder_ / name_of(step), folder_ / (std::string(kDeleting) + make_uuid()));
  if (!gone.empty()) sync_folder(folder_);  // the names go before the contents, power or not
  for (const fs::path& path : entries_of(folder_))  // those of an earlier failure too
    if (path.filename().string().starts_with(kDeleting)) remove_folder(path);
  return gone;
}

fs::path CheckpointStore::set_aside(int64_t step) const {
  const fs::path aside =
      folder_ / fmt::format("refused-{}-{}", name_of(step), make_uuid().substr(0, 8));
  move(folder_ / name_of(step), aside);
  sync_folder(folder_);
  return aside;
}

}  // namespace trireme::launcher
