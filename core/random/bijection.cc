#include "core/random/bijection.h"

#include <algorithm>
#include <bit>

#include "core/base/error.h"
#include "core/random/philox.h"

namespace trireme::core {
namespace {

// Each changes one half by a function of the other. Seven suffice to look random over large
// halves (Patarin 2004); the more, the better over halves of one or two bits.
constexpr int kRounds = 12;

}  // namespace

Bijection::Bijection(uint64_t key, int64_t epoch, int64_t size)
    : key_(key), epoch_(static_cast<uint64_t>(epoch)), size_(size) {
  if (size < 1 || size > kMaxSize) fail("[bijection] expects a size in [1, 2^62], got {}", size);
  if (epoch < 0) fail("[bijection] expects an epoch >= 0, got {}", epoch);
  const int bits = std::max(2, static_cast<int>(std::bit_width(static_cast<uint64_t>(size - 1))));
  low_bits_ = bits / 2;
  low_mask_ = (uint64_t{1} << low_bits_) - 1;
  high_mask_ = (uint64_t{1} << (bits - low_bits_)) - 1;
}

int64_t Bijection::operator()(int64_t n) const {
  if (n < 0 || n >= size_) fail("[bijection] expects a position in [0, {}), got {}", size_, n);
  uint64_t value = static_cast<uint64_t>(n);
  do value = permute(value);
  while (value >= static_cast<uint64_t>(size_));
  return static_cast<int64_t>(value);
}

// No half has more than 31 bits, so one lane of Philox is enough for a round.
uint64_t Bijection::permute(uint64_t value) const {
  uint64_t low = value & low_mask_, high = value >> low_bits_;
  for (uint64_t round = 0; round < kRounds; round += 2) {
    low ^= philox(key_, high | round << 32, epoch_).lane[0] & low_mask_;
    high ^= philox(key_, low | (round + 1) << 32, epoch_).lane[0] & high_mask_;
  }
  return high << low_bits_ | low;
}

}  // namespace trireme::core
