// Counters instead of state: Philox4x32-10.
//
// A draw is a function of a key (job seed, purpose, name) and a counter (run-wide sample number,
// logical element / 4), so it does not depend on rank, layout or order.
//
// Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/host_device.h"

namespace trireme::core {

struct PhiloxBlock {
  uint32_t lane[4];
};

// Ten rounds over (counter_low, counter_high) with a 64-bit key: four independent 32-bit draws.
TRIREME_HOST_DEVICE PhiloxBlock philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// The key of one random stream: a 64-bit hash of seed, purpose ("init", "dropout", "order") and
// name (a parameter's, a node's).
uint64_t random_key(uint64_t seed, std::string_view purpose, std::string_view name);

}  // namespace trireme::core
