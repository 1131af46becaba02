#include "launcher/export/model_config.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::ordered_json;
using Family = LanguageModel::Family;

constexpr uint64_t kMost = (uint64_t{1} << 31) - 1;

// The number as people write it: 1e-05, not the nearest float's 9.999999747378752e-06.
double written(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

class Fields {
 public:
  Fields(const Json& json, const std::string& where) : json_(json), where_(where) {}

  int64_t whole(const char* name, std::optional<int64_t> otherwise = {}) const {
    const Json* value = find(name);
    if (value == nullptr && otherwise) return *otherwise;
    if (value == nullptr) refuse(where_, "lacks '{}'", name);
    if (!value->is_number_unsigned() || value->get<uint64_t>() > kMost)
      wrong(name, "a whole number below 2^31", *value);
    return value->get<int64_t>();
  }
  float real(const char* name, float otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_number()) wrong(name, "a number", *value);
    return value->get<float>();
  }
  bool flag(const char* name, bool otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) wrong(name, "true or false", *value);
    return value->get<bool>();
  }
  std::string text(const char* name, const char* otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) wrong(name, "a text", *value);
    return value->get<std::string>();
  }
  void expect(const char* name, bool wanted) const {
    if (flag(name, wanted) != wanted) wrong(name, wanted ? "true" : "false", json_[name]);
  }
  void expect_none(const char* name) const {
    if (const Json* value = find(name)) wrong(name, "nothing", *value);
  }
  // What null says is what leaving it out says.
  const Json* find(const char* name) const {
    const auto found = json_.find(name);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  [[noreturn]] void wrong(const char* name, std::string_view expected, const Json& got) const {
    std::string text = got.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > 80) text = text.substr(0, 77) + "...";
    refuse(where_, "'{}' expects {}, got {}", name, expected, text);
  }

 private:
  const Json& json_;
  const std::string& where_;
};

LanguageModel parse_gpt2(const Fields& fields) {
  const std::string activation = fields.text("activation_function", "gelu_new");
  if (activation != "gelu_new" && activation != "gelu_pytorch_tanh")
    fields.wrong("activation_function", "gelu_new or gelu_pytorch_tanh", activation);
  fields.expect("scale_attn_weights", true);
  fields.expect("scale_attn_by_inverse_layer_idx", false);
  fields.expect("add_cross_attention", false);
  LanguageModel model{.family = Family::kGpt2,
                      .layers = fields.whole("n_layer"),
                      .width = fields.whole("n_embd"),
                      .heads = fields.whole("n_head"),
                      .context = fields.whole("n_positions"),
                      .vocabulary = fields.whole("vocab_size"),
                      .epsilon = fields.real("layer_norm_epsilon", 1e-5f),
                      .tied = fields.flag("tie_word_embeddings", true)};
  model.kv_heads = model.heads;
  model.hidden = fields.whole("n_inner", 4 * model.width);
  return model;
}

// transformers 4 has rope_theta and rope_scaling, 5 has both in rope_parameters.
float rotary_theta(const Fields& fields, const std::string& where) {
  if (const Json* scaling = fields.find("rope_scaling"))
    if (!scaling->is_object() || Fields(*scaling, where).text("rope_type", "") != "default")
      fields.wrong("rope_scaling", "nothing", *scaling);
  const Json* rope = fields.find("rope_parameters");
  if (rope == nullptr) return fields.real("rope_theta", 10000);
  if (!rope->is_object()) fields.wrong("rope_parameters", "an object", *rope);
  const Fields inner(*rope, where);
  if (const std::string type = inner.text("rope_type", "default"); type != "default")
    inner.wrong("rope_type", "default", type);
  if (inner.real("partial_rotary_factor", 1) != 1)
    inner.wrong("partial_rotary_factor", "1", (*rope)["partial_rotary_factor"]);
  return inner.real("rope_theta", fields.real("rope_theta", 10000));
}

LanguageModel parse_llama(const Fields& fields, const std::string& where) {
  if (const std::string activation = fields.text("hidden_act", "silu"); activation != "silu")
    fields.wrong("hidden_act", "silu", activation);
  fields.expect("attention_bias", false);
  fields.expect("mlp_bias", false);
  LanguageModel model{.family = Family::kLlama,
                      .layers = fields.whole("num_hidden_layers"),
                      .width = fields.whole("hidden_size"),
                      .heads = fields.whole("num_attention_heads"),
                      .hidden = fields.whole("intermediate_size"),
                      .context = fields.whole("max_position_embeddings"),
                      .vocabulary = fields.whole("vocab_size"),
                      .epsilon = fields.real("rms_norm_eps", 1e-6f),
                      .theta = rotary_theta(fields, where),
                      .tied = fields.flag("tie_word_embeddings", false)};
  model.kv_heads = fields.whole("num_key_value_heads", model.heads);
  const int64_t head_dim = fields.whole("head_dim", model.heads > 0 ? model.head_dim() : 0);
  if (model.heads > 0 && head_dim != model.head_dim())
    fields.wrong("head_dim",
                 fmt::format("hidden_size / num_attention_heads = {}", model.head_dim()), head_dim);
  return model;
}

}  // namespace

// The tokens that GPT-2's own vocabulary ends with serve as begin and end; of another, none.
std::string make_model_config(const LanguageModel& m) {
  Json config;
  if (m.family == Family::kGpt2) {
    const Json end = m.vocabulary > 50256 ? Json(50256) : Json(nullptr);
    config = {{"architectures", {"GPT2LMHeadModel"}},
              {"model_type", "gpt2"},
              {"vocab_size", m.vocabulary},
              {"n_positions", m.context},
              {"n_embd", m.width},
              {"n_layer", m.layers},
              {"n_head", m.heads},
              {"n_inner", m.hidden},
              {"activation_function", "gelu_new"},
              {"layer_norm_epsilon", written(m.epsilon)},
              {"scale_attn_weights", true},
              {"bos_token_id", end},
              {"eos_token_id", end}};
  } else {
    config = {{"architectures", {"LlamaForCausalLM"}},
              {"model_type", "llama"},
              {"vocab_size", m.vocabulary},
              {"max_position_embeddings", m.context},
              {"hidden_size", m.width},
              {"intermediate_size", m.hidden},
              {"num_hidden_layers", m.layers},
              {"num_attention_heads", m.heads},
              {"num_key_value_heads", m.kv_heads},
              {"head_dim", m.head_dim()},
              {"hidden_act", "silu"},
              {"rms_norm_eps", written(m.epsilon)},
              {"rope_theta", written(m.theta)},
              {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", written(m.theta)}}},
              {"attention_bias", false},
              {"mlp_bias", false},
              {"bos_token_id", nullptr},
              {"eos_token_id", nullptr}};
  }
  config["tie_word_embeddings"] = m.tied;
  config["torch_dtype"] = "float32";
  return config.dump(2) + "\n";
}

LanguageModel parse_model_config(std::string_view text, const std::string& where) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) refuse(where, "is not a JSON object");
  const Fields fields(json, where);
  const std::string type = fields.text("model_type", "");
  if (type != "gpt2" && type != "llama") fields.wrong("model_type", "gpt2 or llama", type);
  fields.expect_none("quantization_config");
  return type == "gpt2" ? parse_gpt2(fields) : parse_llama(fields, where);
}

}  // namespace trireme::launcher
