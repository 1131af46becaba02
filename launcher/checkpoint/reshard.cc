#include "launcher/checkpoint/reshard.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "core/base/error.h"
#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/stream.h"
#include "parallel/mesh.h"

namespace trireme::launcher {
namespace {

using parallel::Axis;

struct Range {
  int64_t begin, end;
};

// Part `index` of `parts` of [0, size), which differ by one at most.
Range part_of(int64_t size, int64_t index, int64_t parts) {
  const auto cut = [&](int64_t i) {
    return static_cast<int64_t>(static_cast<__int128>(size) * i / parts);
  };
  return {cut(index), cut(index + 1)};
}

// The stage in which the middle of a tensor's bytes falls, names in their order.
std::vector<int> stages_of(const std::vector<TensorSpec>& tensors, int stages) {
  std::map<std::string, int64_t> middles;  // in elements, of those of distinct names
  int64_t total = 0;
  for (const TensorSpec& tensor : tensors) {
    const int64_t elements = tensor.shape.elements();
    if (middles.emplace(tensor.name, total + elements / 2).second) total += elements;
  }
  std::vector<int> found;
  for (const TensorSpec& tensor : tensors)
    found.push_back(static_cast<int>(static_cast<__int128>(middles[tensor.name]) * stages / total));
  return found;
}

Box tensor_part(const core::Shape& shape, int rank, int ranks) {
  Box box = whole_box(shape);
  if (shape.rank() < 2 || shape[0] < ranks) return box;
  const Range rows = part_of(shape[0], rank, ranks);
  box.origin[0] = rows.begin;
  box.extent[0] = rows.end - rows.begin;
  return box;
}

// A layout in which some rank would hold nothing.
void check_layout(const std::vector<TensorSpec>& tensors, const WriterLayout& layout) {
  std::set<std::string> names;
  int64_t rows = 1;
  for (const TensorSpec& tensor : tensors) {
    names.insert(tensor.name);
    if (tensor.shape.rank() >= 2) rows = std::max(rows, tensor.shape[0]);
  }
  if (layout.pipeline > std::ssize(names))
    fail("checkpoint reshard: --pipeline ({}) must be at most the checkpoint's {} tensors",
         layout.pipeline, names.size());
  if (layout.tensor > rows)
    fail("checkpoint reshard: --tensor ({}) must be at most the {} rows of its largest tensor",
         layout.tensor, rows);
}

bool is_sharded(TensorRole role, int zero) {
  const bool kept_by_updates = role != TensorRole::kParameter && role != TensorRole::kState;
  return zero >= 3 || (zero >= 1 && kept_by_updates);
}

}  // namespace

Holdings holdings_of(const std::vector<TensorSpec>& tensors, const WriterLayout& layout) {
  if (layout.world() > kMaxShards)
    fail("checkpoint reshard: {} ranks are too many, at most {} shards are allowed", layout.world(),
         kMaxShards);
  check_layout(tensors, layout);
  const parallel::Mesh mesh({layout.data, layout.tensor, layout.pipeline},
                            static_cast<int>(layout.world()));
  const std::vector<int> stages = stages_of(tensors, layout.pipeline);
  Holdings held(static_cast<size_t>(layout.world()));
  for (int rank = 0; rank < mesh.world(); ++rank)
    for (int i = 0; i < std::ssize(tensors); ++i) {
      if (stages[i] != mesh.coordinate(rank, Axis::kPipeline)) continue;
      const Box box =
          tensor_part(tensors[i].shape, mesh.coordinate(rank, Axis::kTensor), layout.tensor);
      Range run{0, box.elements()};
      if (is_sharded(tensors[i].role, layout.zero))
        run = part_of(run.end, mesh.coordinate(rank, Axis::kData), layout.data);
      for (const Box& part : boxes_of_range(box, run.begin, run.end))
        held[rank].push_back({i, part});
    }
  return held;
}

Manifest reshard(CheckpointReader& checkpoint, const WriterLayout& layout,
                 const std::filesystem::path& out) {
  Manifest manifest = checkpoint.manifest();
  const int64_t step = manifest.plan.step;
  manifest.plan = split_held(manifest.plan.tensors, holdings_of(manifest.plan.tensors, layout));
  manifest.plan.step = step;
  manifest.info.layout = layout;
  return stream_checkpoint(
      out, std::move(manifest),
      [&](int tensor, const Box& box, float* values) { checkpoint.read(tensor, box, values); });
}

}  // namespace trireme::launcher
