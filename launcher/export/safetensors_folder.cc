#include "launcher/export/safetensors_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kMaxTextFileBytes = int64_t{16} << 20;

struct Opened {
  FileDescriptor descriptor;
  int64_t bytes = 0;
};

Opened open_regular(const std::string& path) {
  // O_NONBLOCK: a fifo without a writer must not stop us.
  Opened opened{FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))};
  if (!opened.descriptor) refuse(path, "cannot be opened: {}", std::strerror(errno));
  struct stat status {};
  if (::fstat(opened.descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse(path, "is not a regular file");
  opened.bytes = status.st_size;
  return opened;
}

std::string read_text(const Opened& file, const std::string& path, int64_t begin, int64_t bytes) {
  std::string text(static_cast<size_t>(bytes), '\0');
  if (!read_exactly(file.descriptor, begin, text.data(), bytes)) refuse(path, "cannot be read");
  return text;
}

// Exact: f32 holds every value of both.
float widen_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

// Source: IEEE 754-2019, section 3.6: binary16 has 5 bits of exponent, 10 of fraction.
float widen_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits} >> 15 << 31;
  const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 0)  // zero, or fraction x 2^-24
    return std::bit_cast<float>(sign |
                                std::bit_cast<uint32_t>(static_cast<float>(fraction) * 0x1p-24f));
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

template <float Widen(uint16_t)>
void widen(const std::byte* from, int64_t elements, float* out) {
  for (int64_t i = 0; i < elements; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof(bits));
    out[i] = Widen(bits);
  }
}

// A name of the folder itself: nothing above it, nothing in a folder of it.
bool is_plain(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && std::ssize(name) <= 255;
}

}  // namespace

std::string read_text_file(const fs::path& path) {
  const Opened file = open_regular(path.string());
  if (file.bytes > kMaxTextFileBytes)
    refuse(path.string(), "has {} bytes, at most {} are allowed", file.bytes, kMaxTextFileBytes);
  return read_text(file, path.string(), 0, file.bytes);
}

SafetensorsFolder::SafetensorsFolder(const fs::path& path) : folder_(path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    folder_ = path.parent_path();
    open(path.filename().string());
  } else if (fs::exists(path / kModelFile, error)) {
    open(kModelFile);
  } else if (fs::exists(path / kModelIndex, error)) {
    open_indexed();
  } else {
    refuse(path.string(),
           "has neither {} nor {}; pickled weights (.bin) are not read: save them with "
           "safe_serialization=True",
           kModelFile, kModelIndex);
  }
}

void SafetensorsFolder::open(const std::string& name) {
  const std::string path = (folder_ / name).string();
  Opened file = open_regular(path);
  uint64_t length = 0;
  if (file.bytes < 8 || !read_exactly(file.descriptor, 0, &length, sizeof(length)))
    refuse(path, "is too short for a safetensors file ({} bytes)", file.bytes);
  if (length > static_cast<uint64_t>(std::min(kMaxShardHeaderBytes, file.bytes - 8)))
    refuse(path, "its header of {} bytes does not fit a file of {}", length, file.bytes);
  const int64_t data = 8 + static_cast<int64_t>(length);
  const SafetensorsHeader header = parse_safetensors_header(
      read_text(file, path, 8, data - 8), file.bytes - data, path, SafetensorsTypes::kAny);
  for (const SafetensorsEntry& entry : header.entries)
    if (!tensors_
             .emplace(entry.name, Tensor{entry.shape, entry.dtype, static_cast<int>(files_.size()),
                                         data + entry.begin})
             .second)
      refuse(path, "tensor '{}' is in {} too", entry.name, files_[tensors_[entry.name].file].path);
  files_.push_back({path, std::move(file.descriptor)});
}

void SafetensorsFolder::open_indexed() {
  const std::string path = (folder_ / kModelIndex).string();
  const auto index = nlohmann::json::parse(read_text_file(path), nullptr, false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    refuse(path, "has no weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!file.is_string() || !is_plain(file.get<std::string>()))
      refuse(path, "names a file that is not one of its folder");
    names.insert(file.get<std::string>());
  }
  for (const std::string& name : names) open(name);
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end() ||
        files_[found->second.file].path != (folder_ / file.get<std::string>()).string())
      refuse(path, "says that a tensor is in {} which is not there", file.get<std::string>());
  }
  if (tensors_.size() != index["weight_map"].size())
    refuse(path, "names {} tensors, its files hold {}", index["weight_map"].size(),
           tensors_.size());
}

void SafetensorsFolder::read(const std::string& name, const Rectangle& part, float* out) {
  const Tensor& tensor = tensors_.at(name);
  const File& file = files_[tensor.file];
  const bool wide = tensor.dtype == "F32";
  if (!wide && tensor.dtype != "F16" && tensor.dtype != "BF16")
    refuse(file.path, "tensor '{}' is of {}, expected F32, F16 or BF16", name, tensor.dtype);
  const int64_t size = wide ? 4 : 2;
  const int64_t across = tensor.shape.rank() == 2 ? tensor.shape[1] : 1;
  // Whole rows follow each other: one run.
  const bool joined = part.columns == across;
  const int64_t runs = joined ? 1 : part.rows;
  const int64_t length = joined ? part.rows * part.columns : part.columns;
  for (int64_t run = 0; run < runs; ++run, out += length) {
    const int64_t first = (part.first_row + run) * across + part.first_column;
    if (!wide) bytes_.resize(static_cast<size_t>(length * size));
    void* const to = wide ? static_cast<void*>(out) : bytes_.data();
    if (!read_exactly(file.descriptor, tensor.begin + first * size, to, length * size))
      refuse(file.path, "tensor '{}' cannot be read", name);
    if (tensor.dtype == "F16") widen<widen_f16>(bytes_.data(), length, out);
    if (tensor.dtype == "BF16") widen<widen_bf16>(bytes_.data(), length, out);
  }
}

}  // namespace trireme::launcher
