#include "launcher/checkpoint/listing.h"

#include <algorithm>
#include <system_error>

#include "core/base/error.h"
#include "launcher/checkpoint/structure.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

ListedCheckpoint look_at(const fs::path& path) {
  ListedCheckpoint listed{.path = path};
  try {
    const std::vector<std::string> problems = check_structure(BeneathFolder(path), listed.manifest);
    if (!problems.empty()) listed.problem = problems.front();
  } catch (const InvalidArgument& error) {
    listed.problem = error.what();
  }
  for (ShardRecord& shard : listed.manifest.shards) shard.block_checksums = {};
  for (auto& pieces : listed.manifest.plan.shards) pieces = {};
  listed.manifest.plan.tensors = {};
  return listed;
}

// What the store names its folders while they are made and removed.
bool is_leftover(const std::string& name) {
  return name.starts_with(".tmp-") || name.starts_with(".del-");
}

// Of names with the same number of digits the order is that of their steps.
bool newer(const fs::path& a, const fs::path& b) {
  const std::string x = a.filename().string(), y = b.filename().string();
  return x.size() != y.size() ? x.size() > y.size() : x > y;
}

}  // namespace

std::vector<ListedCheckpoint> list_checkpoints(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) fail("checkpoint ls: {}: is no folder", path.string());
  if (fs::exists(path / kManifestName, error)) return {look_at(path)};
  const fs::path folder =
      fs::is_directory(path / "checkpoints", error) ? path / "checkpoints" : path;
  std::vector<fs::path> found, leftovers;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name.starts_with("step-")) found.push_back(entries->path());
    if (is_leftover(name)) leftovers.push_back(entries->path());
  }
  if (error) fail("checkpoint ls: {}: cannot be listed: {}", folder.string(), error.message());
  std::ranges::sort(found, newer);
  std::ranges::sort(leftovers);
  std::vector<ListedCheckpoint> listed;
  for (const fs::path& one : found) listed.push_back(look_at(one));
  for (const fs::path& one : leftovers)
    listed.push_back({.path = one, .committed = false, .problem = "not committed"});
  return listed;
}

}  // namespace trireme::launcher
