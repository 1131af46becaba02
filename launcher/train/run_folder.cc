#include "launcher/train/run_folder.h"

#include <fstream>
#include <iterator>
#include <system_error>

#include "core/base/error.h"
#include "launcher/base/file_descriptor.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void create(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    fail("run folder {}: cannot be created: {}; name another with --run-dir", path.string(),
         error.message());
  fs::permissions(path, fs::perms::owner_all, error);
}

}  // namespace

RunState RunFolder::open(const std::string& resolved, bool never_resume) const {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (fs::exists(status) && !fs::is_directory(status))
    fail("run folder {}: is a file; name another with --run-dir", path_.string());
  if (fs::exists(status) && !fs::is_empty(path_, error)) {
    if (never_resume)
      fail(
          "run folder {}: is not empty, and --resume never does not overwrite; name another with "
          "--run-dir, or remove it",
          path_.string());
    if (!fs::exists(resolved_job()))
      fail("run folder {}: is not empty and not a run of trireme; name another with --run-dir",
           path_.string());
    if (read_text(resolved_job()) != resolved)
      fail(
          "run folder {}: holds a run of another job (its job.resolved.txtpb differs); name "
          "another "
          "with --run-dir, or remove it",
          path_.string());
    if (fs::exists(model())) return RunState::kFinished;
    fail(
        "run folder {}: holds a run that did not finish, and this version cannot go on from there; "
        "name another with --run-dir, or remove it",
        path_.string());
  }
  create(path_);
  try {
    write_atomically(resolved_job(), resolved);
  } catch (const SystemError& failure) {
    fail("run folder {}: cannot be written to: {}; name another with --run-dir", path_.string(),
         failure.what());
  }
  return RunState::kNew;
}

}  // namespace trireme::launcher
