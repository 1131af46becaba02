// The JSON header of a safetensors file, checked while it is parsed: nothing but what the format
// has, in memory in proportion to the text.
//
// Source: https://huggingface.co/docs/safetensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/shape.h"

namespace trireme::launcher {

struct SafetensorsEntry {
  std::string name;
  core::Shape shape;
  int64_t begin = 0, end = 0;  // bytes behind the header
  std::string dtype = "F32";   // as the format names it
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

// kF32: tensors of any other type are refused. kAny: those whose elements are whole bytes pass.
enum class SafetensorsTypes : uint8_t { kF32, kAny };

// `text` is the header without its length; `data_bytes` the size of what follows it. Every byte of
// the data is in exactly one tensor, no name or field doubled, none unknown.
// Throws InvalidArgument (kBadCheckpoint), one line that opens with `where`.
SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes,
                                           const std::string& where,
                                           SafetensorsTypes types = SafetensorsTypes::kF32);

// The first bytes of a file: the header's length, the JSON text, spaces up to a multiple of 8.
std::string make_safetensors_header(const SafetensorsHeader& header);

}  // namespace trireme::launcher
