#include "launcher/base/uuid.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace trireme::launcher {

std::string make_uuid() {
  std::array<unsigned char, 16> bytes;
  ssize_t got;
  do got = ::getrandom(bytes.data(), bytes.size(), 0);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(bytes.size()))
    throw SystemError(fmt::format("[uuid] no random bytes: {}", std::strerror(errno)));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;  // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80;  // RFC 4122
  const auto hex = [&](size_t from, size_t to) {
    std::string text;
    for (size_t i = from; i < to; ++i) text += fmt::format("{:02x}", bytes[i]);
    return text;
  };
  return fmt::format("{}-{}-{}-{}-{}", hex(0, 4), hex(4, 6), hex(6, 8), hex(8, 10), hex(10, 16));
}

}  // namespace trireme::launcher
