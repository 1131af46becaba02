// Names of files with wildcards.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

// The files that paths and patterns (* ? [a-z], as of a shell) stand for, each pattern's in order
// of their names. A path that exists is itself.
std::vector<std::string> matching_files(const std::vector<std::string>& patterns);

}  // namespace trireme::launcher
