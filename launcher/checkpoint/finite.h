// What is not finite is never written: a run could only go on to nowhere from it.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace trireme::launcher {

// By the exponents' bits, in blocks of a fixed size, so that the compiler takes many at once: of what
// is not finite the sum below has the sign's bit.
inline bool all_finite(std::span<const float> values) {
  constexpr size_t kBlock = 64;
  constexpr uint32_t kMagnitude = 0x7fffffff, kLowestExponent = 0x00800000;
  uint32_t seen = 0;
  const auto see = [&](float value) {
    seen |= (std::bit_cast<uint32_t>(value) & kMagnitude) + kLowestExponent;
  };
  size_t i = 0;
  for (; i + kBlock <= values.size(); i += kBlock)
    for (size_t k = 0; k < kBlock; ++k) see(values[i + k]);
  for (; i < values.size(); ++i) see(values[i]);
  return (seen & ~kMagnitude) == 0;
}

}  // namespace trireme::launcher
