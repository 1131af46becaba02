#include "launcher/generate/token_sampler.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/random/philox.h"

namespace trireme::launcher {

TokenSampler::TokenSampler(const SamplingOptions& options)
    : options_(options), key_(core::random_key(options.seed, "generate", "")) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    fail("[generate] temperature expects a value of at least 0, got {}", options.temperature);
  if (options.top_k < 0) fail("[generate] top_k expects at least 0, got {}", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail("[generate] top_p expects a value above 0 and at most 1, got {}", options.top_p);
}

int32_t TokenSampler::draw(std::span<const float> logits, int64_t n) {
  keep_likeliest(logits);
  if (options_.temperature == 0) return candidates_.front().token;
  const size_t kept = nucleus();
  double total = 0;
  for (size_t i = 0; i < kept; ++i) total += candidates_[i].weight;
  const core::PhiloxBlock block = core::philox(key_, static_cast<uint64_t>(n), 0);
  // 53 bits in [0, 1).
  const auto bits = uint64_t{block.lane[0]} << 21 ^ block.lane[1] >> 11;
  double left = static_cast<double>(bits) * 0x1p-53 * total;
  for (size_t i = 0; i < kept; ++i)
    if ((left -= candidates_[i].weight) < 0) return candidates_[i].token;
  return candidates_[kept - 1].token;
}

// In order of likelihood, with the weights of softmax times an unknown factor.
void TokenSampler::keep_likeliest(std::span<const float> logits) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (std::isfinite(logits[i])) candidates_.push_back({static_cast<int32_t>(i), logits[i]});
  if (candidates_.empty())
    throw Error("[generate] the model's logits are not finite: its weights are broken",
                ExitCode::kDiverged);
  const size_t all = candidates_.size();
  const size_t most = options_.temperature == 0 ? 1
                      : options_.top_k > 0      ? std::min(all, static_cast<size_t>(options_.top_k))
                                                : all;
  std::ranges::partial_sort(candidates_, candidates_.begin() + static_cast<int64_t>(most),
                            [](const Candidate& a, const Candidate& b) {
                              return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
                            });
  candidates_.resize(most);
  const double highest = candidates_.front().weight;
  for (Candidate& candidate : candidates_)
    candidate.weight = options_.temperature == 0
                           ? 1
                           : std::exp((candidate.weight - highest) / options_.temperature);
}

// How many of the candidates it takes to reach top_p.
size_t TokenSampler::nucleus() const {
  double total = 0, sum = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  size_t kept = 0;
  while (kept < candidates_.size()) {
    sum += candidates_[kept++].weight;
    if (sum >= options_.top_p * total) break;
  }
  return kept;
}

}  // namespace trireme::launcher
