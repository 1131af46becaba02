#include <string>

#include "launcher/checkpoint/refuse.h"
#include "launcher/export/language_model.h"

namespace trireme::launcher {
namespace {

using core::Shape;

struct Part {
  std::string name;
  int64_t rows;
};

class Links {
 public:
  // A tensor that is the same in both.
  void same(const std::string& ours, const std::string& theirs, Shape shape) {
    result_.links.push_back({theirs, shape, add(ours, shape), 0, false});
  }
  // A weight (outputs, inputs) and its bias that Conv1D holds transposed.
  void conv1d(const std::string& ours, const std::string& theirs, int64_t outputs, int64_t inputs) {
    result_.links.push_back({theirs + ".weight", Shape{inputs, outputs},
                             add(ours + "/weight", Shape{outputs, inputs}), 0, true});
    same(ours + "/bias", theirs + ".bias", Shape{outputs});
  }
  // A weight whose rows are several of theirs.
  void fused(const std::string& ours, const std::string& prefix, const std::vector<Part>& parts,
             int64_t inputs) {
    int64_t rows = 0;
    for (const Part& part : parts) rows += part.rows;
    const int index = add(ours + "/weight", Shape{rows, inputs});
    int64_t first = 0;
    for (const Part& part : parts) {
      result_.links.push_back(
          {prefix + part.name + ".weight", Shape{part.rows, inputs}, index, first, false});
      first += part.rows;
    }
  }
  void layer_norm(const std::string& ours, const std::string& theirs, int64_t width) {
    same(ours + "/weight", theirs + ".weight", Shape{width});
    same(ours + "/bias", theirs + ".bias", Shape{width});
  }

  Correspondence take() { return std::move(result_); }

 private:
  int add(const std::string& name, const Shape& shape) {
    result_.parameters.push_back({.name = name, .shape = shape});
    return static_cast<int>(result_.parameters.size()) - 1;
  }

  Correspondence result_;
};

Correspondence gpt2(const LanguageModel& m) {
  Links links;
  links.same("tokens/weight", "transformer.wte.weight", {m.vocabulary, m.width});
  links.same("positions/weight", "transformer.wpe.weight", {m.context, m.width});
  for (int64_t i = 0; i < m.layers; ++i) {
    const std::string ours = fmt::format("block{}/", i);
    const std::string theirs = fmt::format("transformer.h.{}.", i);
    links.layer_norm(ours + "norm1", theirs + "ln_1", m.width);
    links.conv1d(ours + "attention/qkv", theirs + "attn.c_attn", 3 * m.width, m.width);
    links.conv1d(ours + "attention/out", theirs + "attn.c_proj", m.width, m.width);
    links.layer_norm(ours + "norm2", theirs + "ln_2", m.width);
    links.conv1d(ours + "mlp/fc1", theirs + "mlp.c_fc", m.hidden, m.width);
    links.conv1d(ours + "mlp/fc2", theirs + "mlp.c_proj", m.width, m.hidden);
  }
  links.layer_norm("norm", "transformer.ln_f", m.width);
  if (!m.tied) links.same("head/weight", "lm_head.weight", {m.vocabulary, m.width});
  return links.take();
}

Correspondence llama(const LanguageModel& m) {
  Links links;
  const int64_t q = m.heads * m.head_dim(), kv = m.kv_heads * m.head_dim();
  links.same("tokens/weight", "model.embed_tokens.weight", {m.vocabulary, m.width});
  for (int64_t i = 0; i < m.layers; ++i) {
    const std::string ours = fmt::format("block{}/", i);
    const std::string theirs = fmt::format("model.layers.{}.", i);
    links.same(ours + "norm1/weight", theirs + "input_layernorm.weight", {m.width});
    links.fused(ours + "attention/qkv", theirs + "self_attn.",
                {{"q_proj", q}, {"k_proj", kv}, {"v_proj", kv}}, m.width);
    links.fused(ours + "attention/out", theirs + "self_attn.", {{"o_proj", m.width}}, q);
    links.same(ours + "norm2/weight", theirs + "post_attention_layernorm.weight", {m.width});
    links.fused(ours + "mlp/gate_up", theirs + "mlp.",
                {{"gate_proj", m.hidden}, {"up_proj", m.hidden}}, m.width);
    links.fused(ours + "mlp/down", theirs + "mlp.", {{"down_proj", m.width}}, m.hidden);
  }
  links.same("norm/weight", "model.norm.weight", {m.width});
  if (!m.tied) links.same("head/weight", "lm_head.weight", {m.vocabulary, m.width});
  return links.take();
}

void check_sizes(const LanguageModel& m, const std::string& where) {
  constexpr int64_t kMost = int64_t{1} << 31;  // products of two stay below 2^63
  for (const int64_t size :
       {m.layers, m.width, m.heads, m.kv_heads, m.hidden, m.context, m.vocabulary})
    if (size < 1 || size >= kMost) refuse(where, "has a size of {}, expected 1 to 2^31 - 1", size);
  if (m.layers > 1 << 16) refuse(where, "has {} layers, expected at most 65536", m.layers);
  if (m.width % m.heads != 0)
    refuse(where, "its width of {} is not a multiple of its {} heads", m.width, m.heads);
  if (m.heads % m.kv_heads != 0)
    refuse(where, "its {} heads are not a multiple of its {} key-value heads", m.heads, m.kv_heads);
}

}  // namespace

Correspondence correspondence(const LanguageModel& model, const std::string& where) {
  check_sizes(model, where);
  return model.family == LanguageModel::Family::kGpt2 ? gpt2(model) : llama(model);
}

}  // namespace trireme::launcher
