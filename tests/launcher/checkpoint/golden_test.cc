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
    "8954524d0d0a1a0177000000000000000a2408011001180120002807320973796e74686574696338"
    "044205302e312e304a0474696e79121e080110011800200029000000000000000030013800410000"
    "00000000f87f1a0a0a017710011801220102222308c80110c001194d9181d0b8d48f2b2208b6fce0"
    "d34db7a0782a0808001201001a010287c99d6f90033a2952108c445c67fe6e";

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
