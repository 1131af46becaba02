#include "launcher/export/language_model.h"

#include <variant>

namespace trireme::launcher {

std::optional<LanguageModel> language_model(const models::ModelOptions& options) {
  using Family = LanguageModel::Family;
  if (const auto* gpt = std::get_if<models::GptOptions>(&options.network))
    return LanguageModel{.family = Family::kGpt2,
                         .layers = gpt->layers,
                         .width = gpt->width,
                         .heads = gpt->heads,
                         .kv_heads = gpt->heads,
                         .hidden = gpt->mlp_width(),
                         .context = gpt->context,
                         .vocabulary = gpt->vocabulary,
                         .epsilon = gpt->epsilon,
                         .tied = gpt->tied};
  if (const auto* llama = std::get_if<models::LlamaOptions>(&options.network))
    return LanguageModel{.family = Family::kLlama,
                         .layers = llama->layers,
                         .width = llama->width,
                         .heads = llama->heads,
                         .kv_heads = llama->groups(),
                         .hidden = llama->hidden,
                         .context = llama->context,
                         .vocabulary = llama->vocabulary,
                         .epsilon = llama->epsilon,
                         .theta = llama->theta,
                         .tied = llama->tied};
  return {};
}

}  // namespace trireme::launcher
