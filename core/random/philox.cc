#include "core/random/philox.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace trireme::core {

uint64_t random_key(uint64_t seed, std::string_view purpose, std::string_view name) {
  // A zero byte parts the fields, so that ("ab", "c") and ("a", "bc") differ.
  const std::string text = fmt::format("{}{}{}", purpose, '\0', name);
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace trireme::core
