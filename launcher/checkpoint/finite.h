// What is not finite is never written: a run could only go on to nowhere from it.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace trireme::launcher {

// By the exponents' bits, so that the compiler can take many at once.
inline bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  bool finite = true;
  for (const float value : values)
    finite &= (std::bit_cast<uint32_t>(value) & kExponent) != kExponent;
  return finite;
}

}  // namespace trireme::launcher
