// `trireme checkpoint`: looks at checkpoints, without MPI and without a device. Each prints to
// stdout and returns the exit code.
#pragma once

#include <filesystem>

namespace trireme::launcher {

// A line a checkpoint, newest first: step, size, shards, layout, counters, valid or why not.
// Returns 0, or 65 if one that is committed is not valid.
int print_checkpoints(const std::filesystem::path& folder);

// Reads every byte. Returns 0, or 65 with a line on stderr for each thing that is wrong.
int print_verification(const std::filesystem::path& checkpoint);

// A line for each tensor and fact that differs. Returns 0 if all are equal and 1 if not, as diff(1)
// does. Throws InvalidArgument (kBadCheckpoint, 65) if one of them cannot be read.
int print_difference(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace trireme::launcher
