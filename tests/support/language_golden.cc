#include "tests/support/language_golden.h"

#include <nlohmann/json.hpp>

namespace trireme::test {
namespace {

using nlohmann::json;

constexpr char kLanguage[] =
#include "language.inc"
    ;

constexpr char kBf16[] =
#include "language_bf16.inc"
    ;

// As `bits` of language.py.
uint32_t bits(uint64_t i, uint64_t salt) {
  uint64_t x = (i * 2654435761u + salt * 40503 + 12345) & 0xffffffff;
  for (int round = 0; round < 2; ++round) {
    x ^= x >> 15;
    x = x * 739982445 & 0xffffffff;
  }
  return static_cast<uint32_t>(x ^ x >> 12);
}

std::vector<float> initial_of(const json& node, int64_t elements) {
  const double base = node.at("base"), spread = node.at("spread");
  std::vector<float> values;
  for (int64_t i = 0; i < elements; ++i) {
    const double u = bits(static_cast<uint64_t>(i), node.at("salt")) / 4294967296.0 - 0.5;
    values.push_back(static_cast<float>(base + spread * u));
  }
  return values;
}

GoldenParameter parameter_of(const json& node) {
  const core::Shape shape(node.at("shape").get<std::vector<int64_t>>());
  return {node.at("name"), shape, initial_of(node, shape.elements()),
          node.at("gradient").get<std::vector<float>>()};
}

models::ModelOptions model_of(const json& node) {
  const json& o = node.at("options");
  models::ModelOptions model;
  if (node.at("kind") == "gpt")
    model.network = models::GptOptions{.layers = o.at("layers"),
                                       .width = o.at("width"),
                                       .heads = o.at("heads"),
                                       .context = o.at("context"),
                                       .vocabulary = o.at("vocabulary"),
                                       .hidden = o.at("hidden"),
                                       .epsilon = o.at("epsilon"),
                                       .tied = o.at("tied")};
  else
    model.network = models::LlamaOptions{.layers = o.at("layers"),
                                         .width = o.at("width"),
                                         .heads = o.at("heads"),
                                         .kv_heads = o.at("kv_heads"),
                                         .hidden = o.at("hidden"),
                                         .context = o.at("context"),
                                         .vocabulary = o.at("vocabulary"),
                                         .theta = o.at("theta"),
                                         .epsilon = o.at("epsilon"),
                                         .tied = o.at("tied")};
  return model;
}

}  // namespace

std::vector<GoldenLanguage> read_golden_languages() {
  std::vector<GoldenLanguage> all;
  const json file = json::parse(kLanguage);
  for (const json& node : file.at("models")) {
    const json& adamw = file.at("adamw");
    GoldenLanguage& golden = all.emplace_back();
    golden.model = model_of(node);
    golden.batch = file.at("batch");
    golden.sequence = file.at("sequence");
    golden.vocabulary = node.at("options").at("vocabulary");
    golden.batches = file.at("batches");
    golden.adamw = {.beta1 = adamw.at("beta1"),
                    .beta2 = adamw.at("beta2"),
                    .epsilon = adamw.at("epsilon"),
                    .weight_decay = adamw.at("weight_decay"),
                    .decoupled = true};
    golden.lr = adamw.at("lr");
    golden.clip_norm = file.at("clip_norm");
    for (const json& parameter : node.at("parameters"))
      golden.parameters.push_back(parameter_of(parameter));
    golden.losses = node.at("losses").get<std::vector<double>>();
  }
  return all;
}

std::vector<GoldenBf16> read_golden_bf16() {
  std::vector<GoldenBf16> all;
  const json file = json::parse(kBf16);
  for (const json& node : file.at("models")) {
    GoldenBf16& golden = all.emplace_back();
    golden.rounded.losses = node.at("losses").get<std::vector<double>>();
    golden.first_losses = node.at("first_losses").get<std::vector<double>>();
    golden.autocast.losses = node.at("autocast_losses").get<std::vector<double>>();
    for (const json& parameter : node.at("parameters")) {
      const std::string name = parameter.at("name");
      golden.rounded.gradients[name] = parameter.at("gradient").get<std::vector<float>>();
      golden.autocast.gradients[name] = parameter.at("autocast_gradient").get<std::vector<float>>();
    }
  }
  return all;
}

GoldenTokens::GoldenTokens(const GoldenLanguage& golden)
    : tokens(static_cast<size_t>(golden.batch * golden.sequence)),
      labels(tokens.size()),
      weights(static_cast<size_t>(golden.batch), 1.0f),
      golden_(golden),
      pointers_{tokens.data(), labels.data(), weights.data()} {}

void GoldenTokens::fill(int step) {
  const int64_t S = golden_.sequence;
  const auto salt = static_cast<uint64_t>(1000 + step % golden_.batches);
  const auto token = [&](int64_t i) {
    return static_cast<int32_t>(bits(static_cast<uint64_t>(i), salt) %
                                static_cast<uint32_t>(golden_.vocabulary));
  };
  for (int64_t b = 0; b < golden_.batch; ++b)
    for (int64_t s = 0; s < S; ++s) {
      tokens[static_cast<size_t>(b * S + s)] = token(b * (S + 1) + s);
      labels[static_cast<size_t>(b * S + s)] = token(b * (S + 1) + s + 1);
    }
}

std::span<const void* const> GoldenTokens::next() {
  fill(step_++);
  return pointers_;
}

}  // namespace trireme::test
