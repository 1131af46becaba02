#include "launcher/generate/generator.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kMostAtOnce = 64;

models::LanguageLimits limits_of(const models::ModelOptions& model) {
  const auto limits = models::language_limits(model);
  if (!limits) fail("[generate] expects a model of language, gpt or llama");
  return *limits;
}

core::Graph build(const models::ModelOptions& model, const models::ModelFactories& factories,
                  int64_t positions, bool logits) {
  const models::LanguageLimits limits = limits_of(model);
  return models::build_model(
      model,
      {.batch = 1,
       .sample = {positions},
       .classes = limits.vocabulary,
       .training = false,
       .sample_type = core::DType::kI32,
       .generation =
           models::GenerationRequest{.cache_positions = limits.context, .logits = logits}},
      factories);
}

std::vector<core::Graph> programs(const models::ModelOptions& model,
                                  const models::ModelFactories& factories, int64_t chunk) {
  std::vector<core::Graph> graphs;
  graphs.push_back(build(model, factories, chunk, false));
  graphs.push_back(build(model, factories, 1, true));
  return graphs;
}

constexpr size_t kPrefill = 0, kDecode = 1;

}  // namespace

Generator::Generator(core::Device& device, const models::ModelOptions& model,
                     const models::ModelFactories& factories)
    : context_(limits_of(model).context),
      chunk_(std::min(kMostAtOnce, context_)),
      inference_(device, programs(model, factories, chunk_)),
      tokens_(static_cast<size_t>(chunk_)),
      logits_(static_cast<size_t>(limits_of(model).vocabulary)) {}

void Generator::check(std::span<const int32_t> tokens) const {
  for (int32_t token : tokens)
    if (token < 0 || token >= vocabulary())
      fail("[generate] expects tokens from 0 to {}, got {}", vocabulary() - 1, token);
}

std::span<const float> Generator::read(std::span<const int32_t> tokens) {
  if (tokens.empty()) fail("[generate] expects at least one token to go on from");
  if (position_ + static_cast<int64_t>(tokens.size()) > context_)
    fail("[generate] {} tokens after {} are more than the model's context, {}", tokens.size(),
         position_, context_);
  check(tokens);
  prefill(tokens.first(tokens.size() - 1));
  decode(tokens.back());
  return logits_;
}

// Whole chunks; a rest with room behind it is filled up with tokens that are not there: what they
// leave in the caches is overwritten before it is read. Without room it goes token by token.
void Generator::prefill(std::span<const int32_t> tokens) {
  while (tokens.size() > 1 && position_ + chunk_ <= context_) {
    const size_t count = std::min(tokens.size(), static_cast<size_t>(chunk_));
    std::fill(std::ranges::copy(tokens.first(count), tokens_.begin()).out, tokens_.end(), 0);
    const auto position = static_cast<int32_t>(position_);
    inference_.run(kPrefill, std::array<const void*, 2>{tokens_.data(), &position});
    position_ += static_cast<int64_t>(count);
    tokens = tokens.subspan(count);
  }
  for (int32_t token : tokens) decode(token);
}

void Generator::decode(int32_t token) {
  const auto position = static_cast<int32_t>(position_);
  inference_.run(kDecode, std::array<const void*, 2>{&token, &position});
  inference_.read("head", logits_);
  ++position_;
}

}  // namespace trireme::launcher
