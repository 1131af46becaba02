// `trireme checkpoint`: looks at checkpoints and turns them into others, without MPI and without a
// device. Each prints to stdout and returns the exit code.
#pragma once

#include <cstdint>
#include <filesystem>

#include "launcher/checkpoint/manifest.h"
#include "launcher/eval/saved_weights.h"

namespace trireme::launcher {

// A line a checkpoint, newest first: step, size, shards, layout, counters, valid or why not.
// Returns 0, or 65 if one that is committed is not valid.
int print_checkpoints(const std::filesystem::path& folder);

// Reads every byte. Returns 0, or 65 with a line on stderr for each thing that is wrong.
int print_verification(const std::filesystem::path& checkpoint);

// A line for each tensor and fact that differs. Returns 0 if all are equal and 1 if not, as diff(1)
// does. Throws InvalidArgument (kBadCheckpoint, 65) if one of them cannot be read.
int print_difference(const std::filesystem::path& a, const std::filesystem::path& b);

// The same content in other shards (reshard.h).
int reshard_checkpoint(const std::filesystem::path& checkpoint, const WriterLayout& layout,
                       const std::filesystem::path& out);

// To a Hugging Face folder (launcher/export/export.h). The model's sizes are those of `job`; if
// that is empty, of the job that the run folder around the weights keeps.
int export_parameters(const WeightsPlace& weights, const std::filesystem::path& job,
                      const std::filesystem::path& out, int64_t max_file_bytes);

// From a Hugging Face folder (launcher/export/import.h); prints the model as a job has it. If `job`
// is given its model must be the same.
int import_parameters(const std::filesystem::path& folder, const std::filesystem::path& job,
                      const std::filesystem::path& out);

}  // namespace trireme::launcher
