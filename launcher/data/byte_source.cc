#include "launcher/data/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "launcher/data/errors.h"

namespace trireme::launcher {
namespace {

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(const File& file) : file_(file) {}
  size_t read(std::span<uint8_t> out) override {
    const size_t got = file_.read_at(offset_, out);
    offset_ += static_cast<int64_t>(got);
    return got;
  }
  bool compressed() const override { return false; }

 private:
  const File& file_;
  int64_t offset_ = 0;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(const File& file) : packed_(file), path_(file.path()), chunk_(64 * 1024) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    ensure(inflateInit2(&stream_, kGzipOnly) == Z_OK, "zlib's inflateInit2 failed");
  }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  ~GzipSource() override { inflateEnd(&stream_); }

  size_t read(std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size() && !ended_) done += inflate_some(out.subspan(done));
    return done;
  }
  bool compressed() const override { return true; }

 private:
  // Unpacks at most one chunk of the file.
  size_t inflate_some(std::span<uint8_t> out) {
    const bool exhausted = stream_.avail_in == 0 && !refill();
    if (between_members_ && exhausted) {
      ended_ = true;
      return 0;
    }
    if (between_members_) start_member();
    constexpr size_t kMost = size_t{1} << 30;  // zlib counts in 32 bits
    const size_t room = std::min(out.size(), kMost);
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_STREAM_END)
      between_members_ = true;
    else if (status == Z_BUF_ERROR && exhausted)
      bad_data("[gzip] {}: truncated: expects more compressed data, got the end of the file",
               path_);
    else if (status != Z_OK && status != Z_BUF_ERROR)
      bad_data("[gzip] {}: corrupt: {}", path_, stream_.msg ? stream_.msg : zError(status));
    return room - stream_.avail_out;
  }

  // A gzip file may be several members on end; anything else behind one is no gzip.
  void start_member() {
    if (!first_member_ && stream_.next_in[0] != 0x1f)
      bad_data("[gzip] {}: expects the file to end with its gzip data, got further bytes", path_);
    if (!first_member_) inflateReset(&stream_);
    first_member_ = between_members_ = false;
  }

  bool refill() {
    const size_t got = packed_.read(chunk_);
    stream_.next_in = chunk_.data();
    stream_.avail_in = static_cast<uInt>(got);
    return got > 0;
  }

  PlainSource packed_;
  std::string path_;
  std::vector<uint8_t> chunk_;
  z_stream stream_{};
  bool first_member_ = true;
  bool between_members_ = true;
  bool ended_ = false;
};

}  // namespace

File::File(std::string path) : path_(std::move(path)) {
  // Non-blocking, so that a pipe without a writer is refused below instead of waited for.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) bad_data("[data] {}: cannot be opened: {}", path_, std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  const char* problem = nullptr;
  if (!known)
    problem = std::strerror(errno);
  else if (S_ISDIR(status.st_mode))
    problem = "a directory";
  else if (!S_ISREG(status.st_mode))
    problem = "something that is no regular file";
  else if (status.st_size == 0)
    problem = "an empty file";
  if (problem) {
    ::close(descriptor_);  // no destructor runs for a constructor that throws
    bad_data("[data] {}: expects a data file, got {}", path_, problem);
  }
  bytes_ = status.st_size;
}

File::File(std::string name, std::span<const uint8_t> bytes)
    : path_(std::move(name)), memory_(bytes), bytes_(static_cast<int64_t>(bytes.size())) {
  if (bytes.empty()) bad_data("[data] {}: expects a data file, got an empty file", path_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      memory_(std::exchange(other.memory_, {})),
      bytes_(other.bytes_) {}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

size_t File::read_at(int64_t offset, std::span<uint8_t> out) const {
  if (descriptor_ < 0) {
    const auto rest = memory_.subspan(static_cast<size_t>(std::min(offset, bytes_)));
    const size_t count = std::min(out.size(), rest.size());
    std::copy_n(rest.data(), count, out.data());
    return count;
  }
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done,
                                offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw SystemError(fmt::format("[data] {}: cannot be read: {}", path_, std::strerror(errno)));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

std::unique_ptr<ByteSource> open_byte_source(const File& file) {
  uint8_t magic[2] = {};
  file.read_at(0, magic);
  if (magic[0] == 0x1f && magic[1] == 0x8b) return std::make_unique<GzipSource>(file);
  return std::make_unique<PlainSource>(file);
}

}  // namespace trireme::launcher
