// From logits to a token: temperature, then the likeliest tokens alone, then a draw.
//
//   p = softmax(logits / temperature), then of the top_k likeliest tokens, and of those the fewest
//   whose p sum up to top_p at least
//
// Draw number n is a function of (seed, n) and the logits. Equal logits rank by token.
// Source: Fan et al., Hierarchical Neural Story Generation (2018), for top-k; Holtzman et al., The
// Curious Case of Neural Text Degeneration (2020), for top-p.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme::launcher {

struct SamplingOptions {
  double temperature = 1;  // 0: always the likeliest token
  int64_t top_k = 0;       // 0: all
  double top_p = 1;
  uint64_t seed = 1;
};

class TokenSampler {
 public:
  // Throws InvalidArgument for a negative temperature or top_k, or a top_p outside (0, 1].
  explicit TokenSampler(const SamplingOptions& options);

  // Throws Error (kDiverged) if no logit is finite.
  int32_t draw(std::span<const float> logits, int64_t n);

 private:
  struct Candidate {
    int32_t token;
    double weight;
  };
  void keep_likeliest(std::span<const float> logits);
  size_t nucleus() const;

  SamplingOptions options_;
  uint64_t key_;
  std::vector<Candidate> candidates_;  // the likeliest first
};

}  // namespace trireme::launcher
