// A fresh folder with job and data files, for tests of what happens to them.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "launcher/job/load.h"

namespace trireme::launcher {

// Removed with all it holds. Holds "images.idx", "labels.idx" and "a.bin", which may be
// named by jobs.
class JobFolder {
 public:
  JobFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "trireme-job-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw SystemError("no temporary folder");
    path_ = name;
    write("images.idx", "x");
    write("labels.idx", "x");
    write("a.bin", "x");
  }
  ~JobFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path path(std::string_view file) const { return path_ / file; }
  void write(std::string_view file, std::string_view text) const {
    std::filesystem::create_directories(path(file).parent_path());
    // A new file each time: some file systems flush one that is emptied and written again.
    std::filesystem::remove(path(file));
    std::ofstream(path(file), std::ios::binary) << text;
  }
  LoadedJob load(std::string_view text, const std::vector<std::string>& sets = {}) const {
    write("a.txtpb", text);
    return load_job(path("a.txtpb"), sets);
  }
  // What load throws, without the folder's name; "" if it loads.
  std::string errors(std::string_view text, const std::vector<std::string>& sets = {}) const {
    write("a.txtpb", text);
    return errors_of("a.txtpb", sets);
  }
  std::string errors_of(std::string_view file, const std::vector<std::string>& sets = {}) const {
    try {
      load_job(path(file), sets);
      return "";
    } catch (const InvalidArgument& error) {
      if (error.code() != ExitCode::kUsage) return "wrong exit code";
      return without_folder(error.what());
    }
  }
  std::string without_folder(std::string text) const {
    const std::string folder = path_.string() + "/";
    for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
    return text;
  }

 private:
  std::filesystem::path path_;
};

// Parts of a job that is right.
inline constexpr char kModel[] = "model { lenet5 {} }\n";
inline constexpr char kData[] = "data { train { synthetic {} } }\n";
inline constexpr char kTrain[] = "train { global_batch: 8 epochs: 1 }\n";
inline constexpr char kOptimizer[] = "optimizer { sgd { lr: 0.1 } }\n";

}  // namespace trireme::launcher
