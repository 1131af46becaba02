#include "core/optim/exact_sum.h"

#include <array>
#include <cmath>
#include <limits>

namespace trireme::core {
namespace {

constexpr int kLowestBit = -320;
constexpr int kDigitBits = 32;
constexpr int64_t kDigitMask = (int64_t{1} << kDigitBits) - 1;
constexpr double kTooLarge = 0x1p300;
constexpr int kMantissaBits = 53;

}  // namespace

void add_exactly(double term, int64_t* sum) {
  if (!(std::abs(term) < kTooLarge)) {
    ++sum[kExactDigits];
    return;
  }
  if (term == 0) return;
  int exponent = 0;
  const double fraction = std::frexp(std::abs(term), &exponent);
  auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, kMantissaBits));
  int bit = exponent - kMantissaBits - kLowestBit;
  if (bit < 0) {
    mantissa = bit > -kMantissaBits ? mantissa >> -bit : 0;
    bit = 0;
  }
  const int shift = bit % kDigitBits;
  const int64_t sign = term < 0 ? -1 : 1;
  const auto high = static_cast<int64_t>(shift == 0 ? 0 : mantissa >> (64 - shift));
  const uint64_t low = mantissa << shift;
  int64_t* const digits = sum + bit / kDigitBits;
  digits[0] += sign * static_cast<int64_t>(low & kDigitMask);
  digits[1] += sign * static_cast<int64_t>(low >> kDigitBits);
  digits[2] += sign * high;
}

double exact_value(const int64_t* sum) {
  if (sum[kExactDigits] != 0) return std::numeric_limits<double>::quiet_NaN();
  std::array<int64_t, kExactDigits> digits{};
  const auto carry = [&](int64_t sign) {  // into digits of 32 bits; what is left over is the sign
    int64_t over = 0;
    for (int i = 0; i < kExactDigits; ++i) {
      over += sign * sum[i];
      digits[i] = over & kDigitMask;
      over >>= kDigitBits;
    }
    return over;
  };
  const bool negative = carry(1) < 0;
  if (negative) carry(-1);
  double value = 0;
  for (int i = kExactDigits; i-- > 0;)
    value += std::ldexp(static_cast<double>(digits[i]), kDigitBits * i + kLowestBit);
  return negative ? -value : value;
}

}  // namespace trireme::core
