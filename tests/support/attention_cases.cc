#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/ops/causal_attention.h"
#include "tests/support/op_cases.h"

namespace trireme::test {
namespace {

struct Sizes {
  int64_t batch, positions, heads, kv_heads, head_dim;
  float scale = 0;
};

double scale_of(const Sizes& s) {
  return s.scale != 0 ? s.scale : 1 / std::sqrt(static_cast<double>(s.head_dim));
}

// y and log-sum-exp of query i of one head, from the head's columns of qkv.
struct Row {
  std::vector<double> y;
  double log_sum_exp;
};

Row attend(const Sizes& s, const std::vector<double>& qkv, int64_t b, int64_t h, int64_t i) {
  const int64_t width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  const int64_t kv_head = h / (s.heads / s.kv_heads);
  const auto at = [&](int64_t position, int64_t head) {
    return qkv.data() + (b * s.positions + position) * width + head * s.head_dim;
  };
  std::vector<double> scores;
  for (int64_t j = 0; j <= i; ++j) {
    const double *query = at(i, h), *key = at(j, s.heads + kv_head);
    double dot = 0;
    for (int64_t d = 0; d < s.head_dim; ++d) dot += query[d] * key[d];
    scores.push_back(scale_of(s) * dot);
  }
  const double max = *std::ranges::max_element(scores);
  double sum = 0;
  for (double score : scores) sum += std::exp(score - max);
  Row row{std::vector<double>(static_cast<size_t>(s.head_dim)), max + std::log(sum)};
  for (int64_t j = 0; j <= i; ++j) {
    const double share = std::exp(scores[j] - row.log_sum_exp);
    const double* value = at(j, s.heads + s.kv_heads + kv_head);
    for (int64_t d = 0; d < s.head_dim; ++d) row.y[d] += share * value[d];
  }
  return row;
}

OutputValues causal_attention(const Sizes& s, const std::vector<HostTensor>& inputs) {
  std::vector<double> y(static_cast<size_t>(s.batch * s.positions * s.heads * s.head_dim));
  std::vector<double> log_sum_exp(static_cast<size_t>(s.batch * s.heads * s.positions));
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.positions; ++i) {
        const Row row = attend(s, inputs[0].values, b, h, i);
        std::ranges::copy(row.y, y.begin() + ((b * s.positions + i) * s.heads + h) * s.head_dim);
        log_sum_exp[(b * s.heads + h) * s.positions + i] = row.log_sum_exp;
      }
  return {y, log_sum_exp};
}

}  // namespace

// One position; head widths that are no multiple of a vector; one, two and three blocks of
// positions, whole and begun; as many key heads as heads, fewer, and one.
std::vector<OpCase> causal_attention_cases() {
  std::vector<OpCase> cases;
  Random random(6);
  for (const Sizes& s : std::vector<Sizes>{{1, 1, 1, 1, 1},
                                           {3, 1, 4, 2, 5},
                                           {2, 2, 1, 1, 16},
                                           {1, 7, 6, 3, 3, 0.75F},
                                           {2, 17, 4, 2, 8},
                                           {1, 31, 3, 1, 33},
                                           {1, 96, 1, 1, 20},
                                           {1, 97, 2, 1, 17},
                                           {1, 3, 2, 1, 131},
                                           {1, 66, 1, 1, 200},
                                           {1, 130, 1, 1, 64, 0.25F},
                                           {1, 197, 2, 1, 7}}) {
    const core::Shape qkv{s.batch, s.positions, (s.heads + 2 * s.kv_heads) * s.head_dim};
    cases.push_back({.name = fmt::format("causal attention {}, {} heads, {} kv_heads", qkv.str(),
                                         s.heads, s.kv_heads),
                     .op = std::make_shared<core::CausalAttention>(
                         core::AttentionOptions{s.heads, s.kv_heads, s.head_dim, s.scale}),
                     .inputs = {random.normal(qkv)},
                     .reference = [s](const auto& inputs) { return causal_attention(s, inputs); },
                     .tolerance = 5e-6,  // e^x carries on the rounding of scores of 10 and more
                     .activations = {0}});
  }
  return cases;
}

}  // namespace trireme::test
