// The words after `trireme checkpoint`.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>

#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

struct CheckpointArguments {
  std::filesystem::path folder, other;  // the first word and the second
  std::filesystem::path job;            // of export and import; may be empty
  bool average = false;                 // of export
  WriterLayout layout;                  // of reshard
  int64_t max_file_mib = 5000;          // of export
};

void add_checkpoint(CLI::App& app, CheckpointArguments& arguments);

// Returns the process's exit code; throws as the commands do (checkpoint.h).
int run_checkpoint(const CLI::App& command, const CheckpointArguments& arguments);

}  // namespace trireme::launcher
