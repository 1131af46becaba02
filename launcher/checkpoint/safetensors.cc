#include "launcher/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "core/base/dtype.h"
#include "core/base/error.h"
#include "launcher/base/file_descriptor.h"
#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/safetensors_header.h"

namespace trireme::launcher {

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::vector<TensorName>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  SafetensorsHeader header{.entries = {}, .metadata = metadata};
  for (const TensorName& tensor : tensors) {
    const int64_t end = missing_ + tensor.shape.elements() * core::size_of(core::DType::kF32);
    header.entries.push_back({tensor.name, tensor.shape, missing_, end});
    missing_ = end;
  }
  const std::string first = make_safetensors_header(header);
  file_.write(first.data(), std::ssize(first));
}

void SafetensorsWriter::write(std::span<const float> values) {
  const auto bytes = static_cast<int64_t>(values.size_bytes());
  file_.write(values.data(), bytes);
  missing_ -= bytes;
}

void SafetensorsWriter::commit() {
  ensure(missing_ == 0, "all values of a safetensors file are written");
  file_.commit();
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorName> names;
  for (const NamedTensor& tensor : tensors) names.push_back({tensor.name, tensor.shape});
  SafetensorsWriter writer(path, names, metadata);
  for (const NamedTensor& tensor : tensors) writer.write(tensor.values);
  writer.commit();
}

const NamedTensor& SafetensorsFile::find(const std::string& name) const {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  if (found == tensors.end()) refuse(path, "has no tensor '{}'", name);
  return *found;
}

namespace {

// Reads so many bytes at an offset; false if there are fewer.
using ReadAt = std::function<bool(int64_t offset, void* out, int64_t bytes)>;

SafetensorsFile parse_file(std::string path, int64_t bytes, const ReadAt& read) {
  SafetensorsFile file{.path = std::move(path)};
  uint64_t length = 0;
  if (bytes < 8 || !read(0, &length, 8))
    refuse(file.path, "is too short for a safetensors file ({} bytes)", bytes);
  if (length > static_cast<uint64_t>(std::min(kMaxShardHeaderBytes, bytes - 8)))
    refuse(file.path, "its header of {} bytes does not fit a file of {}", length, bytes);
  std::string text(length, '\0');
  const auto data = 8 + static_cast<int64_t>(length);
  if (!read(8, text.data(), static_cast<int64_t>(length))) refuse(file.path, "is truncated");
  SafetensorsHeader header = parse_safetensors_header(text, bytes - data, file.path);
  file.metadata = std::move(header.metadata);
  for (SafetensorsEntry& entry : header.entries) {
    NamedTensor& tensor = file.tensors.emplace_back();
    tensor.name = std::move(entry.name);
    tensor.shape = entry.shape;
    tensor.values.resize(static_cast<size_t>(entry.shape.elements()));
    if (!read(data + entry.begin, tensor.values.data(), entry.end - entry.begin))
      refuse(file.path, "tensor '{}' is truncated", tensor.name);
  }
  return file;
}

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) refuse(path.string(), "cannot be opened: {}", std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse(path.string(), "is not a regular file");
  return parse_file(path.string(), status.st_size, [&](int64_t offset, void* out, int64_t bytes) {
    return read_exactly(descriptor, offset, out, bytes);
  });
}

SafetensorsFile parse_safetensors(std::string name, std::span<const uint8_t> bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  return parse_file(std::move(name), size, [&](int64_t offset, void* out, int64_t count) {
    if (offset > size || count > size - offset) return false;
    std::copy_n(bytes.data() + offset, count, static_cast<uint8_t*>(out));
    return true;
  });
}

}  // namespace trireme::launcher
