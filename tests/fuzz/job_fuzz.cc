// A job file and what --set adds to it, from text to options: whatever the bytes, a job or a list
// of errors. Input: the file's text, then each --set, with NUL between them.
//
// Required: every line of the errors begins with its place; what is accepted can be written out and
// read again, and is the same job.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "launcher/job/load.h"
#include "tests/fuzz/heap_bound.h"

namespace trireme::launcher {
namespace {

constexpr char kFile[] = "/jobs/fuzzed.txtpb";
constexpr char kPlace[] = "/jobs/fuzzed.txtpb:";

std::vector<std::string> split(std::string_view bytes) {
  std::vector<std::string> parts;
  for (size_t begin = 0, end; begin <= bytes.size(); begin = end + 1) {
    end = std::min(bytes.find('\0', begin), bytes.size());
    parts.emplace_back(bytes.substr(begin, end - begin));
  }
  return parts;
}

void check_errors(const InvalidArgument& error) {
  fuzz::require(error.code() == ExitCode::kUsage, "a bad job ends with 64");
  std::string_view lines = error.what();
  for (size_t end; !lines.empty(); lines.remove_prefix(end)) {
    const bool placed = lines.starts_with(kPlace) || lines.starts_with("--set ");
    fuzz::require(placed, "each line of the errors begins with its place");
    const size_t newline = lines.find('\n');
    end = newline == std::string_view::npos ? lines.size() : newline + 1;
  }
}

void check_written_out(const LoadedJob& job) {
  fuzz::count_accepted();
  const LoadedJob again = parse_job(job.resolved, "/elsewhere/job.resolved.txtpb");
  fuzz::require(again.options == job.options, "the resolved job has the same options");
  fuzz::require(again.resolved == job.resolved, "the resolved job resolves to itself");
}

void run(std::string_view bytes) {
  const fuzz::HeapBound bound(bytes.size(), 256 << 10, 1024);
  std::vector<std::string> parts = split(bytes);
  const std::string text = std::move(parts.front());
  parts.erase(parts.begin());
  LoadedJob job;
  try {
    job = parse_job(text, kFile, parts);
  } catch (const InvalidArgument& error) {
    return check_errors(error);
  }
  check_written_out(job);
}

}  // namespace
}  // namespace trireme::launcher

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trireme::launcher::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
