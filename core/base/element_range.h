#pragma once

#include <cstdint>

namespace trireme::core {

struct ElementRange {  // [begin, end) of a flat buffer
  int64_t begin = 0, end = 0;

  int64_t elements() const { return end - begin; }
  bool operator==(const ElementRange&) const = default;
};

}  // namespace trireme::core
