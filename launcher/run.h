// The whole `trireme` command: what main calls, and what an outside project calls with extensions.
#pragma once

#include "launcher/extensions.h"

namespace trireme {

// Returns the process's exit code (core/base/error.h, ExitCode). Never throws.
int run(int argc, char** argv, const launcher::Extensions& extensions = {});

}  // namespace trireme
