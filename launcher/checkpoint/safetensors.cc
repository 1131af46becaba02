#include "launcher/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "launcher/base/file_descriptor.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr int64_t kMaxHeaderBytes = int64_t{100} << 20;  // as the format's own reader has it
constexpr char kMetadata[] = "__metadata__";

template <typename... Args>
[[noreturn]] void refuse(const std::string& path, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw InvalidArgument(
      fmt::format("{}: {}", path, fmt::format(format, std::forward<Args>(args)...)),
      ExitCode::kBadCheckpoint);
}

std::string header_of(const std::vector<NamedTensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  int64_t begin = 0;
  for (const NamedTensor& tensor : tensors) {
    const int64_t end = begin + static_cast<int64_t>(tensor.values.size() * sizeof(float));
    header[tensor.name] = {
        {"dtype", "F32"},
        {"shape", std::vector<int64_t>(tensor.shape.dims().begin(), tensor.shape.dims().end())},
        {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors start 8-byte aligned
  return text;
}

struct Entry {
  NamedTensor tensor;
  int64_t begin = 0, end = 0;
};

// One tensor's line of the header, checked against `data_bytes`, the size of what follows it.
Entry parse_entry(const std::string& path, const std::string& name, const Json& json,
                  int64_t data_bytes) {
  const auto bad = [&](std::string_view what) { refuse(path, "tensor '{}': {}", name, what); };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    bad("expects dtype, shape and data_offsets");
  if (json["dtype"] != "F32") bad("expects dtype F32, got " + json["dtype"].dump());
  const Json& offsets = json["data_offsets"];
  const auto natural = [](const Json& number) { return number.is_number_unsigned(); };
  if (!offsets.is_array() || offsets.size() != 2 || !std::ranges::all_of(offsets, natural))
    bad("expects two data_offsets, got " + offsets.dump());
  const Json& dims = json["shape"];
  if (!dims.is_array() || !std::ranges::all_of(dims, natural))
    bad("expects a shape of whole numbers, got " + dims.dump());
  if (dims.size() > core::Shape::kMaxRank) bad("has more than six dimensions");

  Entry entry{.begin = offsets[0].get<int64_t>(), .end = offsets[1].get<int64_t>()};
  if (entry.begin < 0 || entry.end < entry.begin || entry.end > data_bytes)
    bad(fmt::format("its bytes [{}, {}) are not within the file's {}", entry.begin, entry.end,
                    data_bytes));
  try {
    entry.tensor = {.name = name, .shape = core::Shape(dims.get<std::vector<int64_t>>())};
  } catch (const std::exception& error) {
    bad(error.what());
  }
  const int64_t elements = (entry.end - entry.begin) / 4;
  if (entry.tensor.shape.elements() != elements || (entry.end - entry.begin) % 4 != 0)
    bad(fmt::format("shape {} does not fit {} bytes", entry.tensor.shape.str(),
                    entry.end - entry.begin));
  return entry;
}

std::vector<Entry> parse_header(SafetensorsFile& file, const std::string& text,
                                int64_t data_bytes) {
  const Json header = Json::parse(text, nullptr, false);
  if (!header.is_object()) refuse(file.path, "the header is not a JSON object");
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) {
      entries.push_back(parse_entry(file.path, name, json, data_bytes));
      continue;
    }
    if (!json.is_object()) refuse(file.path, "__metadata__ is not an object");
    for (const auto& [key, value] : json.items())
      file.metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  std::ranges::stable_sort(entries, {}, &Entry::begin);
  int64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected)
      refuse(file.path,
             "tensor '{}' begins at byte {}, expected {}: tensors overlap or leave a gap",
             entry.tensor.name, entry.begin, expected);
    expected = entry.end;
  }
  if (expected != data_bytes)
    refuse(file.path, "holds {} bytes of tensors, its header describes {}", data_bytes, expected);
  return entries;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write(&length, sizeof(length));
  file.write(header.data(), static_cast<int64_t>(header.size()));
  for (const NamedTensor& tensor : tensors)
    file.write(tensor.values.data(), static_cast<int64_t>(tensor.values.size() * sizeof(float)));
  file.commit();
}

const NamedTensor& SafetensorsFile::find(const std::string& name) const {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  if (found == tensors.end()) refuse(path, "has no tensor '{}'", name);
  return *found;
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  SafetensorsFile file{.path = path.string()};
  const FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) refuse(file.path, "cannot be opened: {}", std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse(file.path, "is not a regular file");
  const int64_t bytes = status.st_size;
  uint64_t length = 0;
  if (bytes < 8 || !read_exactly(descriptor, 0, &length, 8))
    refuse(file.path, "is too short for a safetensors file ({} bytes)", bytes);
  if (length > static_cast<uint64_t>(std::min(kMaxHeaderBytes, bytes - 8)))
    refuse(file.path, "its header of {} bytes does not fit a file of {}", length, bytes);
  std::string text(length, '\0');
  const auto data = 8 + static_cast<int64_t>(length);
  if (!read_exactly(descriptor, 8, text.data(), static_cast<int64_t>(length)))
    refuse(file.path, "is truncated");
  for (Entry& entry : parse_header(file, text, bytes - data)) {
    entry.tensor.values.resize(static_cast<size_t>((entry.end - entry.begin) / 4));
    if (!read_exactly(descriptor, data + entry.begin, entry.tensor.values.data(),
                      entry.end - entry.begin))
      refuse(file.path, "tensor '{}' is truncated", entry.tensor.name);
    file.tensors.push_back(std::move(entry.tensor));
  }
  return file;
}

}  // namespace trireme::launcher
