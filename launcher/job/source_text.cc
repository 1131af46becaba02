#include "launcher/job/source_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

#include "core/base/error.h"
#include "launcher/job/suggest.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMostBytes = 16 << 20;

// Job files beside the one that is not there.
std::vector<std::string> neighbours(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back((path.parent_path() / it->path().filename()).string());
    if (names.size() == 1000) break;
  }
  return names;
}

void check_file(const fs::path& path) {
  const std::string name = one_line(path.string(), 400);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    const std::string near = closest(path.string(), neighbours(path));
    fail("{}:1:1: there is no such file{}", name,
         near.empty() ? "" : fmt::format("; did you mean {}?", in_quotes(near)));
  }
  if (fs::is_directory(status)) fail("{}:1:1: is a folder; name a job file in it", name);
  if (!fs::is_regular_file(status)) fail("{}:1:1: is no regular file", name);
  const uintmax_t bytes = fs::file_size(path, error);
  if (!error && bytes > kMostBytes)
    fail("{}:1:1: has {} bytes, more than the 16 MiB of any job; is it a data file?", name, bytes);
}

// The length of the valid UTF-8 sequence at `text`, or 0. Refuses overlong forms and surrogates.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead == 0) return 0;
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const unsigned char second = byte(1);
  const bool bad = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                   (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
  return bad ? 0 : length;
}

}  // namespace

size_t first_bad_byte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

std::string read_job_file(const fs::path& path) {
  check_file(path);
  const std::string name = one_line(path.string(), 400);
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("{}:1:1: may not be read: {}", name, std::strerror(errno));
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (in.bad()) fail("{}:1:1: could not be read to its end", name);
  return checked_job_text(std::move(text), name);
}

std::string checked_job_text(std::string text, const std::string& name) {
  const size_t bad = first_bad_byte(text);
  if (bad == std::string::npos) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    return text;
  }
  const auto begin = text.begin();
  const size_t line = std::count(begin, begin + static_cast<ptrdiff_t>(bad), '\n') + 1;
  const size_t start = bad == 0 ? std::string::npos : text.rfind('\n', bad - 1);
  fail("{}:{}:{}: byte 0x{:02x} is no text; save the file as UTF-8", name, line,
       bad - (start == std::string::npos ? 0 : start + 1) + 1,
       static_cast<unsigned char>(text[bad]));
}

}  // namespace trireme::launcher
