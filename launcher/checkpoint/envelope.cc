#include "launcher/checkpoint/envelope.h"

#include <xxhash.h>

#include <cstring>
#include <string_view>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/manifest.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

// As PNG's: the first byte is no ASCII, and a copy as text would change the line ends. The eighth
// byte of the file is the version.
constexpr std::string_view kMagic("\x89TRM\r\n\x1a", 7);
constexpr size_t kFrontBytes = 16;  // magic, version, length
constexpr size_t kHashBytes = sizeof(XXH128_canonical_t);

XXH128_canonical_t hash_of(const void* data, size_t bytes) {
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(data, bytes));
  return hash;
}

}  // namespace

std::string close_envelope(std::string_view payload) {
  const uint64_t length = payload.size();
  std::string file(kMagic);
  file += static_cast<char>(kCheckpointVersion);
  file.append(reinterpret_cast<const char*>(&length), sizeof(length));
  file += payload;
  const XXH128_canonical_t hash = hash_of(file.data(), file.size());
  file.append(reinterpret_cast<const char*>(&hash), sizeof(hash));
  return file;
}

std::span<const std::byte> open_envelope(std::span<const std::byte> file,
                                         const std::string& where) {
  if (file.size() < kFrontBytes + kHashBytes)
    refuse(where, "is too short for a manifest ({} bytes)", file.size());
  if (static_cast<int64_t>(file.size()) > kMaxManifestBytes)
    refuse(where, "has {} bytes, at most {} are allowed", file.size(), kMaxManifestBytes);
  if (std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0)
    refuse(where, "is not a manifest: its first bytes are others");
  uint64_t length = 0;
  std::memcpy(&length, file.data() + 8, sizeof(length));
  if (length != file.size() - kFrontBytes - kHashBytes)
    refuse(where, "says that its payload has {} bytes, but {} are there", length,
           file.size() - kFrontBytes - kHashBytes);
  const XXH128_canonical_t hash = hash_of(file.data(), file.size() - kHashBytes);
  if (std::memcmp(&hash, file.data() + file.size() - kHashBytes, kHashBytes) != 0)
    refuse(where, "is damaged: its hash is not that of its bytes");
  const auto version = std::to_integer<uint32_t>(file[kMagic.size()]);
  if (version != kCheckpointVersion)
    refuse(where, "is of format version {}, this program knows {}", version, kCheckpointVersion);
  return file.subspan(kFrontBytes, length);
}

}  // namespace trireme::launcher
