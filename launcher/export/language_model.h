// The two families of language models that other programs know, as far as their files tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "launcher/checkpoint/plan.h"
#include "models/model_options.h"

namespace trireme::launcher {

struct LanguageModel {
  enum class Family : uint8_t { kGpt2, kLlama };
  Family family = Family::kGpt2;
  int64_t layers = 0, width = 0, heads = 0;
  int64_t kv_heads = 0;  // of gpt2: heads
  int64_t hidden = 0;    // of the MLP
  int64_t context = 0, vocabulary = 0;
  float epsilon = 1e-5f;  // of the norms
  float theta = 10000;    // of the rotary positions; llama
  bool tied = true;       // the head is the table of tokens

  int64_t head_dim() const { return width / heads; }
  bool operator==(const LanguageModel&) const = default;
};

constexpr std::string_view name_of(LanguageModel::Family family) {
  return family == LanguageModel::Family::kGpt2 ? "gpt" : "llama";
}

// Nothing for a network that is neither.
std::optional<LanguageModel> language_model(const models::ModelOptions& options);

// A tensor of a Hugging Face folder is a run of rows of one of ours, as it is or transposed.
struct TensorLink {
  std::string theirs;
  core::Shape shape;  // of theirs
  int ours = 0;       // in Correspondence::parameters
  int64_t first_row = 0;
  bool transposed = false;  // theirs (inputs, outputs), ours (outputs, inputs)
};

// GPT2LMHeadModel: its Conv1D holds weights as (inputs, outputs); c_attn's outputs are q, k, v one
// after the other, as our qkv's rows are. LlamaForCausalLM: q_proj, k_proj, v_proj are our qkv's
// rows and gate_proj, up_proj our gate_up's; both turn pairs (i, i + head_dim / 2), so no row
// moves. A tied head is not in the file.
struct Correspondence {
  std::vector<TensorSpec> parameters;  // ours, all of them
  std::vector<TensorLink> links;       // in the order of `ours`, then of rows: each row once
};

// Throws InvalidArgument (kBadCheckpoint) that opens with `where` for sizes that are no model.
Correspondence correspondence(const LanguageModel& model, const std::string& where);

}  // namespace trireme::launcher
