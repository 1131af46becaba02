#include "launcher/export/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launcher/checkpoint/verify.h"
#include "launcher/export/import.h"
#include "launcher/export/model_config.h"
#include "launcher/export/safetensors_folder.h"
#include "small_model.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kNoSplit = int64_t{1} << 40;

ExportReport export_to(const fs::path& checkpoint, const LanguageModel& model, const fs::path& out,
                       int64_t most = kNoSplit) {
  CheckpointReader reader(checkpoint);
  return export_model(parameters_in(reader), model, out, most);
}

TEST(Export, WhatIsImportedAgainIsTheSameBitForBit) {
  for (const LanguageModel& model :
       {small_gpt(true), small_gpt(false), small_llama(true), small_llama(false)}) {
    const TemporaryFolder folder;
    write_model(folder / "ours", model, 3);
    for (const int64_t most : {kNoSplit, int64_t{4096}}) {
      const std::string tag = most == kNoSplit ? "one" : "many";
      const ExportReport report = export_to(folder / "ours", model, folder / tag, most);
      EXPECT_EQ(report.files > 1, most != kNoSplit);
      EXPECT_EQ(fs::exists(folder / tag / kModelFile), most == kNoSplit);
      const ImportReport back =
          import_model(folder / tag, folder / (tag + "-back"), model, most == kNoSplit ? 1 : 4);
      EXPECT_EQ(back.model, model);
      EXPECT_EQ(parameters_of(folder / (tag + "-back")), parameters_of(folder / "ours"));
      EXPECT_TRUE(verify_checkpoint(folder / (tag + "-back")).problems.empty());
    }
  }
}

// Element by element, from the definition of both formats.
TEST(Export, GptWeightsAreTransposed) {
  const TemporaryFolder folder;
  const LanguageModel model = small_gpt();
  write_model(folder / "ours", model, 2);
  export_to(folder / "ours", model, folder / "out");
  const auto ours = parameters_of(folder / "ours");
  SafetensorsFolder theirs(folder / "out");
  EXPECT_FALSE(theirs.tensors().contains("lm_head.weight"));
  const auto& c_attn = theirs.tensors().at("transformer.h.1.attn.c_attn.weight");
  EXPECT_EQ(c_attn.shape, (core::Shape{12, 36}));
  std::vector<float> values(12 * 36);
  theirs.read("transformer.h.1.attn.c_attn.weight", {0, 12, 0, 36}, values.data());
  const std::vector<float>& qkv = ours.at("block1/attention/qkv/weight");
  for (int in = 0; in < 12; ++in)
    for (int out = 0; out < 36; ++out) ASSERT_EQ(values[in * 36 + out], qkv[out * 12 + in]);
}

TEST(Export, LlamaProjectionsAreRunsOfRows) {
  const TemporaryFolder folder;
  const LanguageModel model = small_llama();
  write_model(folder / "ours", model, 2);
  export_to(folder / "ours", model, folder / "out");
  const auto ours = parameters_of(folder / "ours");
  SafetensorsFolder theirs(folder / "out");
  const auto expect_rows = [&](const std::string& name, const std::string& of, int first,
                               int rows) {
    ASSERT_EQ(theirs.tensors().at(name).shape, (core::Shape{rows, 16})) << name;
    std::vector<float> values(rows * 16);
    theirs.read(name, {0, rows, 0, 16}, values.data());
    const float* begin = ours.at(of).data() + first * 16;
    EXPECT_EQ(values, std::vector<float>(begin, begin + rows * 16)) << name;
  };
  expect_rows("model.layers.2.self_attn.q_proj.weight", "block2/attention/qkv/weight", 0, 16);
  expect_rows("model.layers.2.self_attn.k_proj.weight", "block2/attention/qkv/weight", 16, 8);
  expect_rows("model.layers.2.self_attn.v_proj.weight", "block2/attention/qkv/weight", 24, 8);
  expect_rows("model.layers.0.mlp.gate_proj.weight", "block0/mlp/gate_up/weight", 0, 28);
  expect_rows("model.layers.0.mlp.up_proj.weight", "block0/mlp/gate_up/weight", 28, 28);
  expect_rows("lm_head.weight", "head/weight", 0, 29);
}

TEST(Export, TheIndexNamesEveryTensorOnce) {
  const TemporaryFolder folder;
  const LanguageModel model = small_llama();
  write_model(folder / "ours", model, 1);
  const ExportReport report = export_to(folder / "ours", model, folder / "out", 2000);
  const auto index = nlohmann::json::parse(read_file(folder / "out" / kModelIndex));
  EXPECT_EQ(index["weight_map"].size(), report.tensors);
  EXPECT_EQ(index["metadata"]["total_size"], report.bytes);
  std::set<std::string> files;
  for (const auto& file : index["weight_map"]) files.insert(file);
  EXPECT_EQ(files.size(), report.files);
  EXPECT_EQ(*files.begin(), fmt::format("model-00001-of-{:05}.safetensors", report.files));
}

TEST(Export, RefusesAnotherModelAndAFolderThatIsThere) {
  const TemporaryFolder folder;
  write_model(folder / "ours", small_gpt(), 1);
  LanguageModel other = small_gpt();
  other.layers = 3;
  EXPECT_EQ(refusal_of([&] { export_to(folder / "ours", other, folder / "out"); }, folder.path()),
            "ours: lacks the model's parameter 'block2/norm1/weight'");
  other.layers = 1;
  EXPECT_EQ(refusal_of([&] { export_to(folder / "ours", other, folder / "out"); }, folder.path()),
            "ours: has the parameter 'block1/attention/out/bias' beyond the model's");
  other = small_gpt();
  other.hidden = 24;
  EXPECT_EQ(refusal_of([&] { export_to(folder / "ours", other, folder / "out"); }, folder.path()),
            "ours: its parameter 'block0/mlp/fc1/weight' is (20, 12), the model's is (24, 12)");
  EXPECT_FALSE(fs::exists(folder / "out"));
  fs::create_directory(folder / "out");
  EXPECT_THROW(export_to(folder / "ours", small_gpt(), folder / "out"), InvalidArgument);
  EXPECT_TRUE(fs::is_empty(folder / "out"));
}

TEST(Export, ADamagedBlockLeavesNothing) {
  const TemporaryFolder folder;
  write_model(folder / "ours", small_gpt(), 1);
  std::string bytes = read_file(folder / "ours" / shard_name(0));
  bytes[bytes.size() / 3] ^= 4;
  write_file(folder / "ours" / shard_name(0), bytes);
  EXPECT_THAT(refusal_of([&] { export_to(folder / "ours", small_gpt(), folder / "out"); }),
              testing::HasSubstr("is damaged"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace trireme::launcher
