#include "launcher/data/idx_array.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "launcher/data/errors.h"

namespace trireme::launcher {
namespace {

constexpr int kU8 = 0x08;

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string_view type_name(int code) {
  switch (code) {
    case kU8:
      return "u8";
    case 0x09:
      return "i8";
    case 0x0b:
      return "i16";
    case 0x0c:
      return "i32";
    case 0x0d:
      return "f32";
    case 0x0e:
      return "f64";
  }
  return "";
}

// " (f32 of rank 3)", and a guess at what went wrong.
std::string explain(uint32_t magic, const IdxKind& kind) {
  const int type = static_cast<int>(magic >> 8), rank = static_cast<int>(magic & 0xff);
  if (type_name(type).empty()) return ", which is no IDX file's";
  const bool swapped = type == kU8 && (rank == 1) != (kind.max_rank == 1);
  return fmt::format(" ({} of rank {}){}", type_name(type), rank,
                     swapped ? ": are images and labels swapped?" : "");
}

int check_magic(const std::string& path, const IdxKind& kind, uint32_t magic) {
  const int rank = static_cast<int>(magic & 0xff);
  if (magic >> 8 == kU8 && rank >= kind.min_rank && rank <= kind.max_rank) return rank;
  std::string expected = fmt::format("0x{:08x}", kU8 << 8 | kind.min_rank);
  if (kind.max_rank > kind.min_rank)
    expected += fmt::format(" or 0x{:08x}", kU8 << 8 | kind.max_rank);
  bad_data("[idx] {}: expects {} with the magic number {}, got 0x{:08x}{}", path, kind.plural,
           expected, magic, explain(magic, kind));
}

void check_dims(const std::string& path, const std::vector<int64_t>& dims) {
  if (std::ranges::find(dims, 0) != dims.end())
    bad_data("[idx] {}: expects dimensions of at least 1, got ({})", path, fmt::join(dims, ", "));
  int64_t product = 1;
  for (int64_t dim : dims)
    if (__builtin_mul_overflow(product, dim, &product) || product >= int64_t{1} << 62)
      bad_data("[idx] {}: expects fewer than 2^62 elements, got dimensions ({})", path,
               fmt::join(dims, ", "));
}

IdxHeader parse_header(const std::string& path, const IdxKind& kind, ByteSource& source) {
  std::array<uint8_t, 16> bytes;
  const size_t magic_bytes = source.read(std::span(bytes).first(4));
  if (magic_bytes < 4)
    bad_data("[idx] {}: expects a magic number of 4 bytes, got {} bytes in all", path, magic_bytes);
  const size_t rank = static_cast<size_t>(check_magic(path, kind, big_endian(bytes.data())));
  const size_t got = source.read(std::span(bytes).first(4 * rank));
  if (got < 4 * rank)
    bad_data("[idx] {}: expects {} dimensions of 4 bytes each, got {} bytes after the magic number",
             path, rank, got);
  IdxHeader header;
  for (size_t i = 0; i < rank; ++i) header.dims.push_back(big_endian(&bytes[4 * i]));
  check_dims(path, header.dims);
  return header;
}

void check_plain_size(const File& file, const IdxHeader& header) {
  const int64_t expected = header.header_bytes() + header.elements();
  const int64_t difference = file.bytes() - expected;
  if (difference == 0) return;
  bad_data("[idx] {}: dimensions ({}) expect a file of {} bytes, got {}: {}", file.path(),
           fmt::join(header.dims, ", "), expected, file.bytes(),
           difference < 0 ? fmt::format("truncated by {} bytes", -difference)
                          : fmt::format("{} bytes too many", difference));
}

// At no time holds more than twice what the file has really given, whatever the header states.
std::vector<uint8_t> unpack(const File& file, const IdxHeader& header, ByteSource& source) {
  constexpr size_t kFirst = 1 << 20;
  const size_t total = static_cast<size_t>(header.elements());
  std::vector<uint8_t> bytes;
  for (size_t done = 0; done < total;) {
    bytes.resize(std::min(total, std::max(kFirst, 2 * done)));
    const std::span<uint8_t> room = std::span(bytes).subspan(done);
    const size_t got = source.read(room);
    done += got;
    if (got < room.size())
      bad_data("[idx] {}: dimensions ({}) expect {} bytes of data, got {}: truncated", file.path(),
               fmt::join(header.dims, ", "), total, done);
  }
  uint8_t beyond;
  if (source.read({&beyond, 1}) > 0)
    bad_data("[idx] {}: dimensions ({}) expect {} bytes of data, got more", file.path(),
             fmt::join(header.dims, ", "), total);
  return bytes;
}

}  // namespace

int64_t IdxHeader::elements() const {
  int64_t product = 1;
  for (int64_t dim : dims) product *= dim;
  return product;
}

IdxHeader read_idx_header(const File& file, const IdxKind& kind) {
  const std::unique_ptr<ByteSource> source = open_byte_source(file);
  const IdxHeader header = parse_header(file.path(), kind, *source);
  if (!source->compressed()) check_plain_size(file, header);
  return header;
}

IdxArray::IdxArray(File file, const IdxKind& kind) : file_(std::move(file)) {
  const std::unique_ptr<ByteSource> source = open_byte_source(file_);
  header_ = parse_header(file_.path(), kind, *source);
  in_memory_ = source->compressed();
  if (in_memory_)
    unpacked_ = unpack(file_, header_, *source);
  else
    check_plain_size(file_, header_);
}

void IdxArray::read_rows(int64_t first, std::span<uint8_t> out) const {
  const int64_t offset = first * header_.row_bytes();
  if (in_memory_) {
    std::copy_n(unpacked_.data() + offset, out.size(), out.data());
    return;
  }
  const size_t got = file_.read_at(header_.header_bytes() + offset, out);
  if (got < out.size())
    bad_data("[idx] {}: expects {} bytes from row {} on, got {}: was the file changed?", path(),
             out.size(), first, got);
}

}  // namespace trireme::launcher
