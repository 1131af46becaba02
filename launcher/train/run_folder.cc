#include "launcher/train/run_folder.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>

#include "core/base/error.h"
#include "launcher/base/atomic.h"
#include "launcher/base/durable.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kResolved = "job.resolved.", kText = "txtpb", kTemporary = ".tmp-";

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("{}: cannot be read; name another folder with --run-dir", path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<int> whole_number(std::string_view text) {
  int number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return {};
  return number;
}

// N of "job.resolved.N.txtpb", 1 of "job.resolved.txtpb", 0 of anything else.
int resolved_number(std::string_view name) {
  if (!name.starts_with(kResolved) || !name.ends_with(kText)) return 0;
  if (name.size() == kResolved.size() + kText.size()) return 1;
  name.remove_prefix(kResolved.size());
  name.remove_suffix(std::min(name.size(), kText.size() + 1));
  return std::max(0, whole_number(name).value_or(0));
}

// What AtomicFile writes before it has a name: "model.safetensors.tmp-123".
bool is_half_written(std::string_view name) {
  const size_t at = name.rfind(kTemporary);
  return at != name.npos && whole_number(name.substr(at + kTemporary.size())).has_value();
}

// What a start leaves that was cut short before it had kept its job.
bool is_no_run(const fs::path& entry) {
  const std::string name = entry.filename().string();
  const bool lock = name == "lock" || name == "lock.guard" || name.starts_with("lock.tmp-");
  return lock || name == "flight" || is_half_written(name);
}

// "model.safetensors" becomes "model.before-2.safetensors".
void set_aside(const fs::path& file, int number) {
  const fs::path kept = file.parent_path() / fmt::format("{}.before-{}{}", file.stem().string(),
                                                         number, file.extension().string());
  if (::rename(file.c_str(), kept.c_str()) != 0) fail_on_file("rename", file);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    entries.push_back(entry->path());
  if (error && error != std::errc::no_such_file_or_directory)
    fail("run folder {}: cannot be read: {}; name another with --run-dir", folder.string(),
         error.message());
  return entries;
}

void create(const fs::path& path) {
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  if (error)
    fail("run folder {}: cannot be created: {}; name another with --run-dir", path.string(),
         error.message());
  if (!made) return;
  fs::permissions(path, fs::perms::owner_all, error);
  // A committed checkpoint is of no use in a folder that a power cut takes away.
  const fs::path parent = parent_of(fs::absolute(path));
  for (const fs::path& folder : {parent, parent_of(parent)})
    if (::access(folder.c_str(), W_OK) == 0) sync_folder(folder);
}

}  // namespace

OpenedRun RunFolder::open(const std::string& resolved, const ResumeRequest& request,
                          RunLock::Options options) {
  RunDecision decision = decide(look(request), request, resolved);  // nothing touched if refused
  OpenedRun opened;
  if (decision.state != RunState::kFinished) {
    create(path_);
    take(std::move(options));
    try {
      decision = decide(look(request), request, resolved);  // as it is now that nobody else writes
      clean(opened.notes);
      apply(decision, resolved);
    } catch (...) {
      lock_.reset();
      throw;
    }
  }
  if (decision.state == RunState::kFinished) lock_.reset();
  opened.state = decision.state;
  opened.candidates = std::move(decision.candidates);
  opened.notes.insert(opened.notes.end(), decision.notes.begin(), decision.notes.end());
  return opened;
}

RunContents RunFolder::look(const ResumeRequest& request) const {
  RunContents contents{.path = path_};
  if (request.kind == ResumeRequest::Kind::kCheckpoint)
    contents.named = CheckpointStore::at(fs::absolute(request.checkpoint).lexically_normal());
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (fs::exists(status) && !fs::is_directory(status))
    fail("run folder {}: is a file; name another with --run-dir", path_.string());
  contents.empty = std::ranges::all_of(entries_of(path_), is_no_run);
  contents.has_model = fs::exists(model());
  contents.checkpoints = checkpoints().list();
  if (const int newest = newest_resolved(); newest > 0) {
    contents.resolved = read_text(resolved_job(newest));
    contents.resolved_name = resolved_job(newest).filename().string();
  }
  return contents;
}

void RunFolder::take(RunLock::Options options) {
  try {
    lock_.emplace(path_, std::move(options));
  } catch (const SystemError& failure) {
    fail("run folder {}: cannot be written to: {}; name another with --run-dir", path_.string(),
         failure.what());
  }
}

// The model goes first: with it in place, a start after this one would take the run for finished.
void RunFolder::apply(const RunDecision& decision, const std::string& resolved) {
  const int number = newest_resolved() + 1;
  if (decision.lengthened) {
    set_aside(model(), number);
    if (fs::exists(average())) set_aside(average(), number);
    sync_folder(path_);
  }
  if (!decision.keep_job || decision.state == RunState::kFinished) return;
  try {
    write_atomically(resolved_job(number), resolved);
  } catch (const SystemError& failure) {
    fail("run folder {}: cannot be written to: {}; name another with --run-dir", path_.string(),
         failure.what());
  }
}

void RunFolder::clean(std::vector<std::string>& notes) const {
  for (const fs::path& entry : entries_of(path_))
    if (is_half_written(entry.filename().string())) ::unlink(entry.c_str());
  notes = checkpoints().clean_stale();
}

int RunFolder::newest_resolved() const {
  int newest = 0;
  for (const fs::path& entry : entries_of(path_))
    newest = std::max(newest, resolved_number(entry.filename().string()));
  return newest;
}

fs::path RunFolder::newest_job() const {
  const int newest = newest_resolved();
  return newest > 0 ? resolved_job(newest) : fs::path();
}

fs::path RunFolder::resolved_job(int number) const {
  if (number == 1) return resolved_job();
  return path_ / fmt::format("{}{}.{}", kResolved, number, kText);
}

}  // namespace trireme::launcher
