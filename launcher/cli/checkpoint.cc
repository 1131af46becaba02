#include "launcher/cli/checkpoint.h"

#include "core/base/error.h"
#include "launcher/checkpoint/diff.h"
#include "launcher/checkpoint/listing.h"
#include "launcher/checkpoint/verify.h"
#include "launcher/base/report.h"

namespace trireme::launcher {
namespace {

constexpr int kDiffers = 1;

std::string size_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  int unit = 0;
  for (; size >= 1024 && unit < 4; ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::string layout_text(const WriterLayout& layout) {
  std::string text = fmt::format("data {}", layout.data);
  if (layout.tensor > 1) text += fmt::format(" x tensor {}", layout.tensor);
  if (layout.pipeline > 1) text += fmt::format(" x pipeline {}", layout.pipeline);
  if (layout.zero > 0) text += fmt::format(", ZeRO {}", layout.zero);
  return text;
}

std::string counters_text(const Counters& counters) {
  std::string text =
      fmt::format("{} of {} steps applied", counters.applied_steps, counters.attempted_steps);
  if (counters.best_step >= 0)
    text += fmt::format(", best {:.6g} at step {}", counters.best_value, counters.best_step);
  return text;
}

std::string line_of(const ListedCheckpoint& listed) {
  const std::string name = listed.path.filename().string();
  if (!listed.committed) return fmt::format("{}: {}", name, listed.problem);
  if (listed.manifest.shards.empty()) return fmt::format("{}: NOT VALID: {}", name, listed.problem);
  const Manifest& manifest = listed.manifest;
  return fmt::format("{}: step {}, {}, {} shard{}, {}; {}; {}", name,
                     manifest.counters.attempted_steps, size_text(manifest.bytes()),
                     manifest.shards.size(), manifest.shards.size() == 1 ? "" : "s",
                     layout_text(manifest.info.layout), counters_text(manifest.counters),
                     listed.problem.empty() ? "valid" : "NOT VALID: " + listed.problem);
}

std::string line_of(const TensorDifference& tensor) {
  using Kind = TensorDifference::Kind;
  switch (tensor.kind) {
    case Kind::kOnlyInA:
      return fmt::format("{}: only in A {}", tensor.key, tensor.a.str());
    case Kind::kOnlyInB:
      return fmt::format("{}: only in B {}", tensor.key, tensor.b.str());
    case Kind::kShape:
      return fmt::format("{}: shape {} | {}", tensor.key, tensor.a.str(), tensor.b.str());
    case Kind::kValues:
      break;
    case Kind::kEqual:
      return "";
  }
  std::string line = fmt::format("{}: {} of {} elements differ, max |a - b| {:.6g}", tensor.key,
                                 tensor.different, tensor.elements, tensor.max_abs);
  if (tensor.nan_against_another > 0)
    line += fmt::format(", {} NaN against another", tensor.nan_against_another);
  return line;
}

}  // namespace

int print_checkpoints(const std::filesystem::path& folder) {
  const std::vector<ListedCheckpoint> listed = list_checkpoints(folder);
  if (listed.empty()) fmt::print("{}: no checkpoints\n", folder.string());
  bool bad = false;
  for (const ListedCheckpoint& one : listed) {
    fmt::print("{}\n", line_of(one));
    bad |= one.committed && !one.problem.empty();
  }
  return static_cast<int>(bad ? ExitCode::kBadCheckpoint : ExitCode::kDone);
}

int print_verification(const std::filesystem::path& checkpoint) {
  const Verification result = verify_checkpoint(checkpoint);
  for (const std::string& problem : result.problems) report(problem, nullptr);
  if (!result.problems.empty()) return static_cast<int>(ExitCode::kBadCheckpoint);
  fmt::print("{}: ok; step {}, {} tensors, {} in {} shard{}, every byte as it was written\n",
             checkpoint.string(), result.manifest.counters.attempted_steps,
             result.manifest.plan.tensors.size(), size_text(result.manifest.bytes()),
             result.manifest.shards.size(), result.manifest.shards.size() == 1 ? "" : "s");
  return 0;
}

int print_difference(const std::filesystem::path& a, const std::filesystem::path& b) {
  CheckpointReader left(a), right(b);
  const CheckpointDifference difference = compare(left, right);
  size_t equal = 0;
  for (const std::string& fact : difference.facts) fmt::print("{}\n", fact);
  for (const TensorDifference& tensor : difference.tensors)
    if (tensor.kind == TensorDifference::Kind::kEqual)
      ++equal;
    else
      fmt::print("{}\n", line_of(tensor));
  fmt::print("{} of {} tensors equal, bit for bit\n", equal, difference.tensors.size());
  return difference.equal() ? 0 : kDiffers;
}

}  // namespace trireme::launcher
