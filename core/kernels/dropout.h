// Which elements dropout keeps, for host and device: see core/ops/dropout.h for the rule.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"
#include "core/random/philox.h"

namespace trireme::core {

struct DropoutRule {
  uint64_t key = 0;        // random_key(job seed, "dropout", stream)
  uint32_t threshold = 0;  // an element is kept if its 32 bits are at least this
  float scale = 1;         // 1 / (1 - p), of what is kept
};

// lane / 2^32 >= p exactly if lane >= ceil(p 2^32); p < 1 in f32 keeps that below 2^32.
inline DropoutRule make_dropout_rule(uint64_t key, float probability) {
  const double p = probability;
  return {key, static_cast<uint32_t>(std::ceil(p * 4294967296.0)),
          static_cast<float>(1.0 / (1.0 - p))};
}

// The draws of elements [4 quad, 4 quad + 4) of run-wide sample `sample`.
TRIREME_HOST_DEVICE PhiloxBlock dropout_draws(const DropoutRule& rule, int64_t sample,
                                              int64_t quad) {
  return philox(rule.key, static_cast<uint64_t>(sample), static_cast<uint64_t>(quad));
}

// x keep / (1 - p). A dropped element is 0 even where x is not finite.
TRIREME_HOST_DEVICE float dropout_element(const DropoutRule& rule, float x, uint32_t draw) {
  return draw >= rule.threshold ? x * rule.scale : 0.0f;
}

}  // namespace trireme::core
