// The bytes that docs/checkpoint.md shows. If this fails, checkpoints that exist cannot be read any
// more, or the format needs another version.
#include <gtest/gtest.h>

#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

constexpr std::string_view kShard =
    "b8000000000000007b225f5f6d657461646174615f5f223a7b2274726972656d"
    "655f636865636b706f696e74223a2231222c2273746570223a2231222c227368"
    "617264223a2230227d2c22706172616d657465722f77223a7b22647479706522"
    "3a22463332222c227368617065223a5b325d2c22646174615f6f666673657473"
    "223a5b302c385d7d7d2020202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020"
    "0000803f000000c0";
constexpr std::string_view kManifest =
    "8954524d0d0a1a016e000000000000000a240801100118012000280732097379"
    "6e74686574696338044205302e312e304a0474696e7912150801100118002000"
    "290000000000000000300138001a0a0a017710011801220102222308c80110c0"
    "01194d9181d0b8d48f2b2208b6fce0d34db7a0782a0808001201001a0102e55f"
    "14bcfba7d68802f237acdbd4bff3";

std::string hex_of(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

TEST(Golden, BytesOfTheDocumentedExample) {
  const TemporaryFolder folder;
  CheckpointPlan plan =
      split_replicated({{"w", TensorRole::kParameter, core::DType::kF32, {2}}}, 1);
  plan.step = 1;
  const float values[] = {1, -2};
  const std::byte* const data[] = {reinterpret_cast<const std::byte*>(values)};
  Manifest manifest;
  manifest.info = {.seed = 7,
                   .data_identity = "synthetic",
                   .global_batch = 4,
                   .trireme_version = "0.1.0",
                   .job_name = "tiny"};
  manifest.counters = {.attempted_steps = 1, .applied_steps = 1};
  manifest.plan = plan;
  manifest.shards = {write_shard(folder.path(), 0, plan, data)};
  EXPECT_EQ(hex_of(read_file(folder / shard_name(0))), kShard);
  EXPECT_EQ(hex_of(encode(manifest)), kManifest);
}

}  // namespace
}  // namespace trireme::launcher
