// What protobuf's parser would let pass, refused before it runs: unknown fields, missing ones,
// doubled ones, wrong wire types, and messages so many that memory would go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace google::protobuf {
class Descriptor;
}

namespace trireme::launcher {

// Walks `payload` as a message of `type`, in no memory to speak of. Every singular field must be
// there exactly once, every packed one at most once; of messages of a type in `at_most` (by short
// name) there may be so many in all. Throws InvalidArgument (kBadCheckpoint) that opens with
// `where`.
void check_wire(const google::protobuf::Descriptor& type, std::span<const std::byte> payload,
                const std::map<std::string, int64_t>& at_most, const std::string& where);

}  // namespace trireme::launcher
