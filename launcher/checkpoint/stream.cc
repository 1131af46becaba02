#include "launcher/checkpoint/stream.h"

#include <algorithm>
#include <vector>

#include "launcher/base/atomic.h"
#include "launcher/checkpoint/finite.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/shard_writer.h"

namespace trireme::launcher {
namespace {

ShardRecord stream_shard(const std::filesystem::path& folder, int number,
                         const CheckpointPlan& plan, const ReadBox& source,
                         std::vector<float>& values) {
  ShardFile file(folder, number, plan);
  for (const Piece& piece : plan.shards[number]) {
    const int64_t all = piece.box.elements();
    for (int64_t begin = 0; begin < all; begin += kStreamElements)
      for (const Box& part :
           boxes_of_range(piece.box, begin, std::min(all, begin + kStreamElements))) {
        values.resize(static_cast<size_t>(part.elements()));
        source(piece.tensor, part, values.data());
        if (!all_finite(values)) refuse(plan.key(piece), "holds values that are not finite");
        file.put(values.data(), std::ssize(values) * int64_t{sizeof(float)});
      }
  }
  return file.finish();
}

}  // namespace

Manifest stream_checkpoint(const std::filesystem::path& path, Manifest manifest,
                           const ReadBox& source) {
  AtomicFolder folder(path);
  std::vector<float> values;
  manifest.shards.clear();
  for (int number = 0; number < std::ssize(manifest.plan.shards); ++number) {
    manifest.shards.push_back(
        stream_shard(folder.temporary(), number, manifest.plan, source, values));
    verify_shard(folder.temporary(), number, manifest.shards.back());
  }
  write_new_file(folder.temporary() / kManifestTextName, text_of(manifest));
  write_new_file(folder.temporary() / kManifestName, encode(manifest));
  folder.commit();
  return manifest;
}

}  // namespace trireme::launcher
