// A job file's bytes, checked to be text.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace trireme::launcher {

// Reads a file whole. Throws InvalidArgument "FILE:1:1: ..." if it is missing, no file, unreadable
// or larger than 16 MiB, and with the place of the first byte that is no UTF-8 text.
std::string read_job_file(const std::filesystem::path& path);

// The same checks of bytes that are here already; `name` opens the errors. Without a byte order
// mark.
std::string checked_job_text(std::string bytes, const std::string& name);

// The index of the first byte that is NUL or no part of valid UTF-8; npos if all is text.
size_t first_bad_byte(std::string_view text);

}  // namespace trireme::launcher
