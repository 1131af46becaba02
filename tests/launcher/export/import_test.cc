#include "launcher/export/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "launcher/checkpoint/safetensors.h"
#include "launcher/export/export.h"
#include "launcher/export/model_config.h"
#include "launcher/export/safetensors_folder.h"
#include "small_model.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A folder as save_pretrained() leaves it, its tensors at hand.
class Theirs {
 public:
  explicit Theirs(const LanguageModel& model) : model(model) {
    write_model(folder / "ours", model, 1);
    CheckpointReader reader(folder / "ours");
    export_model(parameters_in(reader), model, path, int64_t{1} << 40);
    file = read_safetensors(path / kModelFile);
  }

  NamedTensor& tensor(const std::string& name) {
    return *std::ranges::find(file.tensors, name, &NamedTensor::name);
  }
  std::string refusal(const std::optional<LanguageModel>& expected = {}) {
    write_safetensors(path / kModelFile, file.tensors, file.metadata);
    fs::remove_all(folder / "out");
    const std::string text =
        refusal_of([&] { import_model(path, folder / "out", expected); }, folder.path());
    EXPECT_EQ(fs::exists(folder / "out"), text.empty());
    return text;
  }
  std::string refusal_with(const std::string& from, const std::string& to) {
    const std::string config = read_file(path / kModelConfig);
    const size_t at = config.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write_file(path / kModelConfig, std::string(config).replace(at, from.size(), to));
    const std::string text = refusal();
    write_file(path / kModelConfig, config);
    return text;
  }

  const TemporaryFolder folder;
  const fs::path path = folder / "theirs";
  LanguageModel model;
  SafetensorsFile file;
};

TEST(Import, RefusesWhatIsNotTheModel) {
  {
    Theirs theirs(small_gpt());
    EXPECT_EQ(theirs.refusal(), "");
    theirs.tensor("transformer.h.1.ln_2.bias").name = "transformer.h.1.ln_3.bias";
    EXPECT_EQ(theirs.refusal(), "theirs: lacks the tensor 'transformer.h.1.ln_2.bias'");
  }
  {
    Theirs theirs(small_gpt());
    theirs.tensor("transformer.wpe.weight").shape = {12, 9};
    EXPECT_EQ(theirs.refusal(),
              "theirs: its tensor 'transformer.wpe.weight' is (12, 9), expected (9, 12)");
  }
  {
    Theirs theirs(small_gpt());
    theirs.file.tensors.push_back({"score.weight", {1}, {1}});
    EXPECT_EQ(theirs.refusal(),
              "theirs: has the tensor 'score.weight', for which the model has no place");
  }
  {
    Theirs theirs(small_llama());
    theirs.tensor("model.layers.1.mlp.up_proj.weight").values[5] = std::nanf("");
    EXPECT_EQ(theirs.refusal(),
              "parameter/block1/mlp/gate_up/weight: holds values that are not finite");
  }
  {
    Theirs theirs(small_llama());
    LanguageModel job = theirs.model;
    job.kv_heads = 4;
    job.theta = 10000;
    EXPECT_EQ(theirs.refusal(job),
              "theirs/config.json: is of another model than the job: kv_heads 2, the job's 4; "
              "theta 5000, the job's 10000");
  }
}

TEST(Import, AHeadThatIsTiedMayBeStoredIfItIsTheTable) {
  Theirs theirs(small_gpt());
  NamedTensor head = theirs.tensor("transformer.wte.weight");
  head.name = "lm_head.weight";
  theirs.file.tensors.push_back(head);
  EXPECT_EQ(theirs.refusal(), "");
  theirs.file.tensors.back().values.back() += 1;
  EXPECT_EQ(
      theirs.refusal(),
      "theirs: its config.json ties 'lm_head.weight' to the table of tokens, but they differ");
}

// openai-community/gpt2 is like this: saved without its head, with the masks of old versions.
TEST(Import, NamesWithoutThePrefixAndMasksOfOldVersions) {
  Theirs theirs(small_gpt());
  for (NamedTensor& tensor : theirs.file.tensors)
    tensor.name = tensor.name.substr(std::string("transformer.").size());
  theirs.file.tensors.push_back({"h.0.attn.bias", {1, 1, 9, 9}, std::vector<float>(81)});
  EXPECT_EQ(theirs.refusal(), "");
  EXPECT_EQ(parameters_of(theirs.folder / "out"), parameters_of(theirs.folder / "ours"));
}

TEST(Import, RefusesNetworksThatComputeSomethingElse) {
  Theirs gpt(small_gpt());
  EXPECT_EQ(gpt.refusal_with("gelu_new", "relu"),
            "theirs/config.json: 'activation_function' expects gelu_new or gelu_pytorch_tanh, got "
            "\"relu\"");
  EXPECT_EQ(gpt.refusal_with("\"gpt2\"", "\"bert\""),
            "theirs/config.json: 'model_type' expects gpt2 or llama, got \"bert\"");
  EXPECT_EQ(gpt.refusal_with("\"n_head\": 3", "\"n_head\": 5"),
            "theirs/config.json: its width of 12 is not a multiple of its 5 heads");
  EXPECT_EQ(gpt.refusal_with("\"n_head\": 3", "\"n_head\": 0"),
            "theirs/config.json: has a size of 0, expected 1 to 2^31 - 1");
  EXPECT_EQ(gpt.refusal_with("\"n_head\": 3,", ""), "theirs/config.json: lacks 'n_head'");
  EXPECT_EQ(gpt.refusal_with("\"n_head\": 3", "\"n_head\": -3"),
            "theirs/config.json: 'n_head' expects a whole number below 2^31, got -3");
  EXPECT_EQ(gpt.refusal_with("\"n_embd\": 12", "\"n_embd\": 99999999999999999999"),
            "theirs/config.json: 'n_embd' expects a whole number below 2^31, got 1e+20");
  EXPECT_EQ(gpt.refusal_with("{", ""), "theirs/config.json: is not a JSON object");
  EXPECT_EQ(gpt.refusal_with("\"n_inner\"", "\"quantization_config\": {\"bits\": 4}, \"n_inner\""),
            "theirs/config.json: 'quantization_config' expects nothing, got {\"bits\":4}");

  Theirs llama(small_llama());
  EXPECT_EQ(llama.refusal_with("\"rope_type\": \"default\"", "\"rope_type\": \"llama3\""),
            "theirs/config.json: 'rope_type' expects default, got \"llama3\"");
  EXPECT_EQ(llama.refusal_with("\"attention_bias\": false", "\"attention_bias\": true"),
            "theirs/config.json: 'attention_bias' expects false, got true");
  EXPECT_EQ(llama.refusal_with("\"head_dim\": 4", "\"head_dim\": 8"),
            "theirs/config.json: 'head_dim' expects hidden_size / num_attention_heads = 4, got 8");
  EXPECT_EQ(llama.refusal_with("\"rope_parameters\"",
                               "\"rope_scaling\": {\"factor\": 2}, \"rope_parameters\""),
            "theirs/config.json: 'rope_scaling' expects nothing, got {\"factor\":2}");
}

TEST(Import, RefusesFoldersThatAreNone) {
  const TemporaryFolder folder;
  const auto refusal = [&] {
    return refusal_of([&] { import_model(folder / "in", folder / "out"); }, folder.path());
  };
  EXPECT_EQ(refusal(), "in/config.json: cannot be opened: No such file or directory");
  fs::create_directory(folder / "in");
  write_file(folder / "in" / kModelConfig, make_model_config(small_gpt()));
  EXPECT_THAT(refusal(), HasSubstr("in: has neither model.safetensors nor"));
  write_file(folder / "in" / kModelIndex, R"({"weight_map": {"a": "../x.safetensors"}})");
  EXPECT_EQ(refusal(),
            "in/model.safetensors.index.json: names a file that is not one of its folder");
  write_file(folder / "in" / kModelIndex, R"({"weight_map": {"a": "x.safetensors"}})");
  EXPECT_EQ(refusal(), "in/x.safetensors: cannot be opened: No such file or directory");
  write_safetensors(folder / "in/x.safetensors", {{"b", {1}, {1}}}, {});
  EXPECT_EQ(refusal(),
            "in/model.safetensors.index.json: says that a tensor is in x.safetensors "
            "which is not there");
  write_file(folder / "in" / kModelFile, "short");
  EXPECT_EQ(refusal(), "in/model.safetensors: is too short for a safetensors file (5 bytes)");
}

// All finite values of both types, against the formula in double.
TEST(Import, HalvesAreWidenedExactly) {
  const TemporaryFolder folder;
  std::string bits(2 << 16, '\0');
  for (uint32_t i = 0; i < 1 << 16; ++i) {
    const auto value = static_cast<uint16_t>(i);
    std::memcpy(bits.data() + 2 * i, &value, 2);
  }
  const int64_t size = std::ssize(bits);
  write_file(folder / kModelFile,
             make_safetensors_header({.entries = {{"f16", {1 << 16}, 0, size, "F16"},
                                                  {"bf16", {1 << 16}, size, 2 * size, "BF16"},
                                                  {"i16", {1 << 16}, 2 * size, 3 * size, "I16"}},
                                      .metadata = {}}) +
                 bits + bits + bits);
  SafetensorsFolder files(folder.path());
  const auto expected = [](uint32_t bits, int exponent_bits, int fraction_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
    const double fraction = std::ldexp(bits & ((1 << fraction_bits) - 1), -fraction_bits);
    const double size =
        exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
    if (exponent == (1 << exponent_bits) - 1)
      return fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
    return size;
  };
  for (const auto& [name, exponent, fraction] :
       {std::tuple("f16", 5, 10), std::tuple("bf16", 8, 7)}) {
    std::vector<float> values(1 << 16);
    files.read(name, {0, 1 << 16, 0, 1}, values.data());
    for (uint32_t i = 0; i < 1 << 16; ++i) {
      const double size = expected(i, exponent, fraction);
      ASSERT_EQ(std::signbit(values[i]), i >> 15 == 1) << name << i;
      if (std::isnan(size))
        ASSERT_TRUE(std::isnan(values[i])) << name << i;
      else
        ASSERT_EQ(std::abs(values[i]), size) << name << i;
    }
  }
  float out = 0;
  EXPECT_THAT(refusal_of([&] {
                files.read("i16", {0, 1, 0, 1}, &out);
              }),
              HasSubstr("tensor 'i16' is of I16, expected F32, F16 or BF16"));
}

}  // namespace
}  // namespace trireme::launcher
