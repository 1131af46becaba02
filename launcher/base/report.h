// How failures are told: one line of ours on stderr, from one rank.
#pragma once

#include <string>

#include "comm/world.h"

namespace trireme::launcher {

// "trireme: message", or "trireme: rank 3/8 on node07: message" in a world of several ranks. Of a
// message of several lines (a job with several errors) each gets its own.
void report(const std::string& message, const comm::World* world);

}  // namespace trireme::launcher
