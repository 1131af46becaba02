// The way from a job file to options: parse, override, fill in, check. All errors at once.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "launcher/job/options.h"

namespace trireme::launcher {

struct LoadedJob {
  JobOptions options;
  std::string resolved;  // to_text(options)
};

// Loads a job and applies `sets` ("train.seed=2") in their order, before anything is checked.
// Paths in it are relative to the job file, and absolute in the result.
// Throws InvalidArgument with one line an error: "file:line:column: ..." or "--set ...: ...".
LoadedJob load_job(const std::filesystem::path& path, std::span<const std::string> sets = {});

// The same of text that stands for the file `path`. Looks at no file, and misses no data file.
LoadedJob parse_job(std::string text, const std::filesystem::path& path,
                    std::span<const std::string> sets = {});

// The job as text, every default written out. Loaded again it gives equal options, from any folder.
std::string to_text(const JobOptions& options);

}  // namespace trireme::launcher
