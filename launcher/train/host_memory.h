// What a host has left for its ranks' arenas.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace trireme::launcher {

// Bytes that processes of this host, or of the control group that this one is in, may still take
// before some are killed: MemAvailable and free swap, and what memory limits of control groups (v1
// or v2, Slurm's or a container's) leave. Nothing if that is not known. `root`: what /proc and /sys lie in.
std::optional<int64_t> available_host_memory(const std::filesystem::path& root = "/");

}  // namespace trireme::launcher
