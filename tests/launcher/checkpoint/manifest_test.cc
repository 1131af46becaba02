#include "launcher/checkpoint/manifest.h"

#include <gtest/gtest.h>

#include <limits>

#include "edited_manifest.h"
#include "launcher/checkpoint/limits.h"
#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

using core::DType;
using core::Shape;
using namespace std::string_literals;

// Of one tensor whole and one in two shards, with nothing on a disk.
Manifest example() {
  CheckpointPlan plan = split_replicated({{"a", TensorRole::kParameter, DType::kF32, {}},
                                          {"w", TensorRole::kMoment1, DType::kF32, {3, 2}}},
                                         2);
  plan.step = 16;
  Manifest manifest = describe(plan);
  for (int shard = 0; shard < 2; ++shard)
    manifest.shards.push_back({.bytes = shard_bytes(plan, shard),
                               .header_bytes = std::ssize(shard_header(plan, shard)),
                               .header_hash = 0x0123456789abcdefu,
                               .block_checksums = {0xfedcba9876543210u}});
  return manifest;
}

std::string refusal(const std::string& file) {
  return refusal_of([&] { decode(bytes_of(file), "m"); });
}

TEST(Manifest, ComesBackAsItWas) {
  Manifest manifest = example();
  EXPECT_EQ(decode(bytes_of(encode(manifest)), "m"), manifest);
  manifest.counters.best_value = -std::numeric_limits<double>::quiet_NaN();
  manifest.counters.best_step = -1;
  manifest.info.seed = std::numeric_limits<uint64_t>::max();
  manifest.info.data_identity = "Größe";
  manifest.info.layout = {.data = 3, .tensor = 2, .pipeline = 5, .zero = 3};
  manifest.counters.loss_scale_power = 16;
  manifest.counters.steps_since_scaled = 7;
  const Manifest back = decode(bytes_of(encode(manifest)), "m");
  EXPECT_EQ(back, manifest);
  EXPECT_EQ(encode(back), encode(manifest));
}

TEST(Manifest, LossScaleHasItsBounds) {
  Manifest manifest = example();
  const auto problem = [&] { return refusal_of([&] { encode(manifest); }); };
  manifest.counters.loss_scale_power = 25;
  EXPECT_EQ(problem(), "manifest.pb: the loss scale is 2^25, expected 2^0 to 2^24");
  manifest.counters.loss_scale_power = 0;
  EXPECT_EQ(problem(), "");
  manifest.counters.steps_since_scaled = manifest.counters.attempted_steps + 1;
  EXPECT_NE(problem().find("steps_since_scaled is "), std::string::npos);
}

TEST(Manifest, BytesAreTheDocumented) {
  const std::string file = encode(example());
  EXPECT_EQ(file.substr(0, 8), std::string("\x89TRM\r\n\x1a\x01", 8));
  uint64_t length = 0;
  std::memcpy(&length, file.data() + 8, 8);
  EXPECT_EQ(length, file.size() - 32);
  EXPECT_EQ(close_envelope(file.substr(16, length)), file);
}

TEST(Manifest, EveryBitCounts) {
  std::string file = encode(example());
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] ^= static_cast<char>(1 << bit % 8);
    ASSERT_TRUE(refusal(file).starts_with("m: ")) << bit;
    file[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
  EXPECT_EQ(refusal(file), "");
}

// Behind a right hash the parser is on its own: whatever the bits, it must refuse with a line or
// accept what encodes again.
TEST(Manifest, EveryBitBehindARightHash) {
  const std::string payload = payload_of(encode(example()));
  int accepted = 0;
  for (size_t bit = 0; bit < 8 * payload.size(); ++bit) {
    std::string flipped = payload;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    try {
      const Manifest manifest = decode(bytes_of(close_envelope(flipped)), "m");
      EXPECT_EQ(decode(bytes_of(encode(manifest)), "m"), manifest);
      ++accepted;
    } catch (const InvalidArgument& error) {
      ASSERT_TRUE(std::string_view(error.what()).starts_with("m: ")) << error.what();
    }
  }
  EXPECT_GT(accepted, 0);  // a bit of the seed, of a checksum
}

TEST(Manifest, NoFrontOfItIsOne) {
  const std::string file = encode(example());
  for (size_t bytes = 0; bytes < file.size(); ++bytes)
    ASSERT_NE(refusal(file.substr(0, bytes)), "") << bytes;
  EXPECT_NE(refusal(file + '\0'), "");
  const std::string payload = payload_of(file);
  for (size_t bytes = 0; bytes < payload.size(); ++bytes)
    ASSERT_NE(refusal(close_envelope(payload.substr(0, bytes))), "") << bytes;
}

TEST(Manifest, EnvelopeErrors) {
  const std::string file = encode(example());
  EXPECT_EQ(refusal("short"), "m: is too short for a manifest (5 bytes)");
  EXPECT_EQ(refusal(std::string(100, 'x')), "m: is not a manifest: its first bytes are others");
  EXPECT_EQ(refusal(file + "x").substr(0, 38),
            "m: says that its payload has " + std::to_string(file.size() - 32) + " bytes");
  std::string newer = file;
  newer[7] = 2;
  EXPECT_EQ(refusal(newer), "m: is damaged: its hash is not that of its bytes");
}

TEST(Manifest, WireErrors) {
  const std::string payload = payload_of(encode(example()));
  const auto with = [&](const std::string& more) {
    return refusal(close_envelope(payload + more));
  };
  EXPECT_EQ(with("\x78\x01"),
            "m: Manifest has the unknown field 15: a newer version wrote it, or it is damaged");
  EXPECT_EQ(with("\x12\x00"s), "m: Manifest.counters is there twice");
  EXPECT_EQ(with("\x18\x01"),
            fmt::format("m: Manifest is malformed at byte {} of the payload", payload.size() + 1));
  EXPECT_EQ(with("\x1a\x7f"),
            fmt::format("m: Manifest is malformed at byte {} of the payload", payload.size() + 2));
  EXPECT_EQ(with("\x1a\x00"s), "m: Tensor.name is missing");
  EXPECT_EQ(with("\x1b"),
            fmt::format("m: Manifest is malformed at byte {} of the payload", payload.size() + 1));
  EXPECT_EQ(refusal(close_envelope("")), "m: Manifest.info is missing");
}

struct Edit {
  const char *from, *to, *error;
};

class ManifestEdit : public testing::TestWithParam<Edit> {};

TEST_P(ManifestEdit, IsRefusedWithALine) {
  const auto [from, to, error] = GetParam();
  EXPECT_EQ(refusal(edited(encode(example()), from, to)), error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ManifestEdit,
    testing::Values(
        Edit{"data: 2", "data: 0", "m: has an axis of 0 ranks, expected 1 to 1048576"},
        Edit{"data: 2", "data: 4294967297", "m: holds a number that is too large: 4294967297"},
        Edit{"data: 2\n  tensor: 1\n  pipeline: 1",
             "data: 1048576 tensor: 1048576 pipeline: 1048576",
             "m: was written by more than 1048576 ranks"},
        Edit{"zero: 0", "zero: 4", "m: has ZeRO stage 4, expected 0 to 3"},
        Edit{"global_batch: 120", "global_batch: 0", "m: has a global batch of 0"},
        Edit{"\"small\"", "\"\\033[2J\"", "m: job_name holds control characters"},
        Edit{"\"small\"", "\"\\302\\233\"", "m: job_name holds control characters"},
        Edit{"\"small\"", "\"\\377\"", "m: job_name is not UTF-8"},
        Edit{"attempted_steps: 16", "attempted_steps: 13",
             "m: applied_steps is 14, expected 0 to the 13 steps attempted"},
        Edit{"attempted_steps: 16", "attempted_steps: 18446744073709551615",
             "m: holds a number that is too large: 18446744073709551615"},
        Edit{"best_step: 8", "best_step: -2",
             "m: best_step is -2, expected -1 to the 16 steps attempted"},
        Edit{"role: PARAMETER", "role: ROLE_UNSPECIFIED", "m: a tensor has the unknown role 0"},
        Edit{"role: PARAMETER", "role: 77", "m: a tensor has the unknown role 77"},
        Edit{"dtype: F32", "dtype: 2", "m: a tensor has the unknown dtype 2"},
        Edit{"name: \"a\"", "name: \"../a b\"",
             "m: the name of tensor 0 holds more than letters, digits and ._-/+:@"},
        Edit{"name: \"a\"\n  role: PARAMETER", "name: \"w\" role: MOMENT1",
             "m: tensor 'moment1/w' is there twice"},
        Edit{"shape: 3", "shape: 4", "m: the pieces of tensor 'moment1/w' overlap or leave a gap"},
        Edit{"shape: 3", "shape: 0", "m: tensor 'moment1/w' has no element: its shape is (0, 2)"},
        Edit{"shape: 3", "shape: 9223372036854775808",
             "m: holds a number that is too large: 9223372036854775808"},
        Edit{"shape: 3", "shape: 4611686018427387904",
             "m: a tensor: [shape] has more than 2^62 elements: (4611686018427387904, 2)"},
        Edit{"shape: 3", "shape: [1, 1, 1, 1, 1, 1]",
             "m: a tensor: [shape] has 7 dimensions, at most 6 are supported"},
        Edit{"extent: 1", "extent: 4",
             "m: shard 0 has a piece that is not within tensor 'moment1/w' of shape (3, 2)"},
        Edit{"origin: 0", "origin: 9223372036854775807",
             "m: shard 0 has a piece that is not within tensor 'moment1/w' of shape (3, 2)"},
        Edit{"origin: 0", "",
             "m: a piece has 1 origins and 2 extents, expected as many, 6 at most"},
        Edit{"origin: 0", "origin: [0, 0, 0, 0, 0, 0]",
             "m: a piece has 7 origins and 2 extents, expected as many, 6 at most"},
        Edit{"tensor: 0", "tensor: 2", "m: shard 0 has a piece of tensor 2, but there are 2"},
        Edit{"tensor: 0", "tensor: 4294967296", "m: holds a number that is too large: 4294967296"},
        Edit{"header_bytes: ", "header_bytes: 1",
             "m: shard-00000.safetensors has 268 bytes, but its header and pieces have 1268"}));

TEST(Manifest, RefusesToWriteWhatItWouldNotRead) {
  const auto refused = [](const std::function<void(Manifest&)>& change) {
    Manifest manifest = example();
    change(manifest);
    return refusal_of([&] { encode(manifest); });
  };
  EXPECT_EQ(refused([](Manifest& m) { m.shards.pop_back(); }),
            "manifest.pb: has 1 shards, but a plan of 2");
  EXPECT_EQ(refused([](Manifest& m) { m.shards[1].block_checksums.push_back(1); }),
            "manifest.pb: shard-00001.safetensors has 2 block checksums for 1 blocks");
  EXPECT_EQ(refused([](Manifest& m) { m.plan.step = 15; }),
            "manifest.pb: is of step 15, but 16 steps were attempted");
  EXPECT_EQ(refused([](Manifest& m) { m.info.job_name = "\xff"; }),
            "manifest.pb: job_name is not UTF-8");
  EXPECT_EQ(refused([](Manifest& m) { m.info.job_name.assign(4097, 'x'); }),
            "manifest.pb: job_name has 4097 bytes, at most 4096 are allowed");
  EXPECT_EQ(refused([](Manifest& m) { m.plan.shards[1].pop_back(); }),
            "manifest.pb: the pieces of tensor 'moment1/w' overlap or leave a gap");
}

TEST(Manifest, TextIsForPeople) {
  const std::string text = text_of(example());
  EXPECT_NE(text.find("job_name: \"small\""), std::string::npos);
  EXPECT_EQ(text.find("block_checksums"), std::string::npos);
}

}  // namespace
}  // namespace trireme::launcher
