// Names that nobody else makes.
#pragma once

#include <string>

namespace trireme::launcher {

// A random (version 4) UUID: "6f1c2a3e-58d0-4b7a-9c1e-0d2f3a4b5c6d".
std::string make_uuid();

}  // namespace trireme::launcher
