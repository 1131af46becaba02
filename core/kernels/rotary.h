// The angles of rotary position embedding, for host and device.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/kernels/math.h"

namespace trireme::core {

// theta^(-2 i / D) for i in [0, D / 2), rounded to f32.
inline std::vector<float> rotary_frequencies(int64_t head_dim, float theta) {
  std::vector<float> frequencies;
  for (int64_t i = 0; i < head_dim / 2; ++i)
    frequencies.push_back(static_cast<float>(
        std::pow(static_cast<double>(theta),
                 -2.0 * static_cast<double>(i) / static_cast<double>(head_dim))));
  return frequencies;
}

// sign is 1, or -1 to turn back.
TRIREME_HOST_DEVICE SinCos rotary_turn(int64_t position, float frequency, float sign) {
  const SinCos turn = fast_sincos(static_cast<float>(position) * frequency);
  return {sign * turn.sin, turn.cos};
}

}  // namespace trireme::core
