// The bytes around a manifest's payload: magic and version (8 bytes), the payload's length (8), the
// payload, XXH3-128 of all before it (16, in its canonical order).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace trireme::launcher {

std::string close_envelope(std::string_view payload);

// The payload of a file whose magic, length, hash and version are right; a view of `file`. Throws
// InvalidArgument (kBadCheckpoint) that opens with `where`.
std::span<const std::byte> open_envelope(std::span<const std::byte> file, const std::string& where);

}  // namespace trireme::launcher
