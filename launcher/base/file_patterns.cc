#include "launcher/base/file_patterns.h"

#include <glob.h>

#include <filesystem>
#include <memory>

namespace trireme::launcher {

std::vector<std::string> matching_files(const std::vector<std::string>& patterns) {
  std::vector<std::string> files;
  for (const std::string& pattern : patterns) {
    std::error_code ignored;
    if (std::filesystem::exists(pattern, ignored)) {
      files.push_back(pattern);
      continue;
    }
    glob_t found{};
    const std::unique_ptr<glob_t, void (*)(glob_t*)> owner(&found, ::globfree);
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  return files;
}

}  // namespace trireme::launcher
