// job.proto as a serialised FileDescriptorSet with comments, embedded by embed_schema.cmake.
#pragma once

#include <span>

namespace trireme::launcher {

std::span<const unsigned char> schema_bytes();

}  // namespace trireme::launcher
