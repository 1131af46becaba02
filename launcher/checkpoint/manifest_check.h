// What must hold of a manifest, whether it was read or is to be written.
#pragma once

#include <string>

#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

// Version, layout, texts, counters, the plan, and each shard's size against its pieces and its
// blocks. Throws InvalidArgument (kBadCheckpoint) that opens with `where`.
void check_manifest(const Manifest& manifest, const std::string& where);

}  // namespace trireme::launcher
