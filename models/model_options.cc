#include "models/model_options.h"

namespace trireme::models {

GptOptions gpt_preset(GptPreset preset) {
  GptOptions options{.preset = preset};
  if (preset == GptPreset::kNone) return options;
  const auto size = [&](int64_t layers, int64_t width, int64_t heads) {
    options.layers = layers;
    options.width = width;
    options.heads = heads;
  };
  options.context = 1024;
  options.vocabulary = 50257;
  if (preset == GptPreset::k124M) size(12, 768, 12);
  if (preset == GptPreset::k355M) size(24, 1024, 16);
  if (preset == GptPreset::k774M) size(36, 1280, 20);
  if (preset == GptPreset::k1558M) size(48, 1600, 25);
  return options;
}

std::optional<LanguageLimits> language_limits(const ModelOptions& model) {
  if (const auto* gpt = std::get_if<GptOptions>(&model.network))
    return LanguageLimits{gpt->vocabulary, gpt->context};
  if (const auto* llama = std::get_if<LlamaOptions>(&model.network))
    return LanguageLimits{llama->vocabulary, llama->context};
  return std::nullopt;
}

}  // namespace trireme::models
