#include <fmt/format.h>

#include <cmath>

#include "core/ops/embedding.h"
#include "core/ops/norm.h"
#include "core/ops/rotary.h"
#include "core/ops/swiglu.h"
#include "tests/support/op_cases.h"

namespace trireme::test {
namespace {

using core::EmbeddingOptions;
using core::NormOptions;
using core::Shape;
using Inputs = std::vector<HostTensor>;

bool has(const Inputs& inputs, size_t i) { return i < inputs.size() && inputs[i].present(); }

int64_t start_of(const Inputs& inputs, size_t positions, int64_t sample) {
  return has(inputs, positions) ? static_cast<int64_t>(inputs[positions].values[sample]) : 0;
}

HostTensor starts(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return tensor_of(core::DType::kI32, {count}, std::move(values));
}

Reference embedding(EmbeddingOptions options) {
  return [=](const Inputs& inputs) {
    const Shape& tokens = inputs[0].type.shape;
    const int64_t rows = inputs[1].type.shape[0], width = inputs[1].type.shape[1];
    std::vector<double> y;
    for (int64_t i = 0; i < inputs[0].size(); ++i) {
      const int64_t row = static_cast<int64_t>(inputs[0].values[i]) - options.first_token;
      const int64_t position = start_of(inputs, 3, i / tokens[1]) + i % tokens[1];
      for (int64_t h = 0; h < width; ++h)
        y.push_back((row >= 0 && row < rows ? inputs[1].values[row * width + h] : 0) +
                    (has(inputs, 2) ? inputs[2].values[position * width + h] : 0));
    }
    return OutputValues{y};
  };
}

// inputs dy, tokens
Reference embedding_grad(EmbeddingOptions options, int64_t rows) {
  return [=](const Inputs& inputs) {
    const int64_t width = inputs[0].type.shape[2];
    std::vector<double> table(static_cast<size_t>(rows * width));
    for (int64_t i = 0; i < inputs[1].size(); ++i) {
      const int64_t row = static_cast<int64_t>(inputs[1].values[i]) - options.first_token;
      if (row < 0 || row >= rows) continue;
      for (int64_t h = 0; h < width; ++h) table[row * width + h] += inputs[0].values[i * width + h];
    }
    return OutputValues{table};
  };
}

// inputs dy, positions
Reference position_grad(int64_t rows) {
  return [=](const Inputs& inputs) {
    const Shape& dy = inputs[0].type.shape;
    std::vector<double> table(static_cast<size_t>(rows * dy[2]));
    for (int64_t b = 0; b < dy[0]; ++b)
      for (int64_t s = 0; s < dy[1]; ++s) {
        const int64_t p = start_of(inputs, 1, b) + s;
        for (int64_t h = 0; h < dy[2] && p >= 0 && p < rows; ++h)
          table[p * dy[2] + h] += inputs[0].values[(b * dy[1] + s) * dy[2] + h];
      }
    return OutputValues{table};
  };
}

struct RowNorm {
  double mean;
  double scale;
};

RowNorm row_norm(const NormOptions& options, const double* s, int64_t width) {
  double mean = 0, squares = 0;
  for (int64_t i = 0; i < width && options.kind == NormOptions::kLayer; ++i)
    mean += s[i] / static_cast<double>(width);
  for (int64_t i = 0; i < width; ++i) squares += (s[i] - mean) * (s[i] - mean);
  return {mean, 1 / std::sqrt(squares / static_cast<double>(width) +
                              static_cast<double>(options.epsilon))};
}

Reference norm(NormOptions options) {
  return [=](const Inputs& inputs) {
    const int64_t width = inputs[1].size();
    std::vector<double> s = inputs[0].values, statistics, y;
    for (size_t i = 0; i < s.size() && has(inputs, 3); ++i) s[i] += inputs[3].values[i];
    for (size_t row = 0; row < s.size(); row += width) {
      const auto [mean, scale] = row_norm(options, s.data() + row, width);
      if (options.kind == NormOptions::kLayer) statistics.push_back(mean);
      statistics.push_back(scale);
      for (int64_t i = 0; i < width; ++i)
        y.push_back((s[row + i] - mean) * scale * inputs[1].values[i] +
                    (has(inputs, 2) ? inputs[2].values[i] : 0));
    }
    return has(inputs, 3) ? OutputValues{y, statistics, s} : OutputValues{y, statistics};
  };
}

// inputs dy, s, weight, statistics, later
Reference norm_grad(NormOptions options) {
  return [=](const Inputs& inputs) {
    const int64_t width = inputs[2].size();
    const bool centered = options.kind == NormOptions::kLayer;
    const std::vector<double>&dy = inputs[0].values, &s = inputs[1].values;
    std::vector<double> ds = has(inputs, 4) ? inputs[4].values : std::vector<double>(dy.size());
    for (size_t row = 0; row < s.size(); row += width) {
      const auto [mean, scale] = row_norm(options, s.data() + row, width);
      double mean_g = 0, mean_gn = 0;
      for (int64_t i = 0; i < width; ++i) {
        const double g = dy[row + i] * inputs[2].values[i] / static_cast<double>(width);
        mean_g += centered ? g : 0;
        mean_gn += g * (s[row + i] - mean) * scale;
      }
      for (int64_t i = 0; i < width; ++i)
        ds[row + i] += scale * (dy[row + i] * inputs[2].values[i] - mean_g -
                                (s[row + i] - mean) * scale * mean_gn);
    }
    return OutputValues{ds};
  };
}

// inputs dy, s, statistics
Reference norm_grad_weight(NormOptions options, bool has_bias) {
  return [=](const Inputs& inputs) {
    const int64_t width = inputs[0].type.shape[-1];
    OutputValues sums(has_bias ? 2 : 1, std::vector<double>(static_cast<size_t>(width)));
    for (int64_t row = 0; row < inputs[0].size(); row += width) {
      const double* s = inputs[1].values.data() + row;
      const auto [mean, scale] = row_norm(options, s, width);
      for (int64_t i = 0; i < width; ++i) {
        sums[0][i] += inputs[0].values[row + i] * (s[i] - mean) * scale;
        if (has_bias) sums[1][i] += inputs[0].values[row + i];
      }
    }
    return sums;
  };
}

double silu(double x) { return x / (1 + std::exp(-x)); }

OutputValues swiglu(const Inputs& inputs) {
  const int64_t half = inputs[0].type.shape[-1] / 2;
  std::vector<double> y;
  for (int64_t i = 0; i < inputs[0].size() / 2; ++i) {
    const double* row = inputs[0].values.data() + i / half * 2 * half;
    y.push_back(silu(row[i % half]) * row[half + i % half]);
  }
  return {y};
}

Reference rotary(core::RotaryOptions o) {
  return [=](const Inputs& inputs) {
    const Shape& x = inputs[0].type.shape;
    const int64_t half = o.head_dim / 2;
    std::vector<double> y = inputs[0].values;
    for (int64_t row = 0; row < x[0] * x[1]; ++row) {
      const auto position = static_cast<float>(start_of(inputs, 1, row / x[1]) + row % x[1]);
      for (int64_t head = 0; head < o.heads; ++head)
        for (int64_t i = 0; i < half; ++i) {
          // In f32, as core/ops/rotary.h says.
          const auto frequency = static_cast<float>(
              std::pow(o.theta, -2 * static_cast<double>(i) / static_cast<double>(o.head_dim)));
          const double a = position * frequency;
          const int64_t at = row * x[2] + head * o.head_dim + i;
          const double low = inputs[0].values[at], high = inputs[0].values[at + half];
          y[at] = low * std::cos(a) - high * std::sin(a);
          y[at + half] = high * std::cos(a) + low * std::sin(a);
        }
    }
    return OutputValues{y};
  };
}

struct EmbeddingShape {
  int64_t samples, length, vocabulary, width;
};

// One token, more tokens than rows, more rows than tokens, past the grain of threads.
constexpr EmbeddingShape kEmbeddings[] = {
    {1, 1, 1, 1}, {3, 7, 5, 6}, {2, 5, 1031, 17}, {4, 97, 13, 132}};

void add_embedding_grads(std::vector<OpCase>& cases, const EmbeddingShape& e, Random& random) {
  const HostTensor dy = random.normal({e.samples, e.length, e.width});
  cases.push_back({.name = fmt::format("embedding gradient {} of {}", dy.type.str(), e.vocabulary),
                   .op = std::make_shared<core::EmbeddingGrad>(EmbeddingOptions{}, e.vocabulary),
                   .inputs = {dy, random.labels({e.samples, e.length}, e.vocabulary)},
                   .reference = embedding_grad({}, e.vocabulary)});
  const int64_t positions = e.length + 5;
  HostTensor from = starts(std::vector<double>(static_cast<size_t>(e.samples), 2));
  from.values[0] = 5;
  for (bool shifted : {false, true})
    cases.push_back({.name = fmt::format("position gradient {} {}", dy.type.str(), shifted),
                     .op = std::make_shared<core::PositionEmbeddingGrad>(positions),
                     .inputs = {dy, shifted ? from : absent()},
                     .reference = position_grad(positions)});
}

}  // namespace

std::vector<OpCase> embedding_cases() {
  std::vector<OpCase> cases;
  Random random(31);
  for (const EmbeddingShape& e : kEmbeddings) {
    const HostTensor tokens = random.labels({e.samples, e.length}, e.vocabulary);
    const HostTensor table = random.normal({e.vocabulary, e.width});
    cases.push_back({.name = fmt::format("embedding {} {}", tokens.type.str(), table.type.str()),
                     .op = std::make_shared<core::Embedding>(),
                     .inputs = {tokens, table},
                     .reference = embedding({}),
                     .parameters = {1}});
    cases.push_back(cases.back());
    cases.back().name += " with positions";
    cases.back().inputs.push_back(random.normal({e.length + 3, e.width}));
    cases.back().parameters = {1, 2};
    add_embedding_grads(cases, e, random);
  }
  const HostTensor tokens = random.labels({3, 8}, 11);
  cases.push_back(
      {.name = "embedding that begins at positions",
       .op = std::make_shared<core::Embedding>(),
       .inputs = {tokens, random.normal({11, 8}), random.normal({13, 8}), starts({5, 0, 2})},
       .reference = embedding({}),
       .parameters = {1, 2}});
  const EmbeddingOptions slice{.first_token = 3, .vocabulary = 11};
  cases.push_back({.name = "embedding of a slice",
                   .op = std::make_shared<core::Embedding>(slice),
                   .inputs = {tokens, random.normal({5, 9})},
                   .reference = embedding(slice),
                   .parameters = {1}});
  return cases;
}

std::vector<OpCase> norm_cases() {
  std::vector<OpCase> cases;
  Random random(32);
  for (auto kind : {NormOptions::kLayer, NormOptions::kRms})
    for (const Shape& shape : {Shape{4, 3}, Shape{5, 33}, Shape{2, 3, 96}, Shape{3, 1031},
                               Shape{70, 12}, Shape{2, 2052}})
      for (bool residual : {false, true}) {
        const NormOptions options{.kind = kind, .epsilon = 1e-3f};
        const auto op = std::make_shared<core::Norm>(options);
        OpCase c{.name = fmt::format("{} {} residual {}", op->type(), shape.str(), residual),
                 .op = op,
                 .inputs = {random.normal(shape, 2), random.normal({shape[-1]}),
                            residual ? absent() : random.normal({shape[-1]})},
                 .reference = norm(options),
                 .activations = {0},
                 .parameters = {1}};
        // An offset, which layer norm takes off again and RMS norm does not.
        for (double& value : c.inputs[0].values) value = static_cast<float>(value + 0.75);
        if (residual) {
          c.inputs.push_back(random.normal(shape));
          c.activations.push_back(3);
        } else {
          c.parameters.push_back(2);
        }
        cases.push_back(std::move(c));
      }
  return cases;
}

std::vector<OpCase> norm_grad_cases() {
  std::vector<OpCase> cases;
  Random random(33);
  for (auto kind : {NormOptions::kLayer, NormOptions::kRms})
    for (const Shape& shape : {Shape{1, 3}, Shape{7, 33}, Shape{2, 1500}, Shape{400, 36}}) {
      const NormOptions options{.kind = kind};
      const HostTensor s = random.normal(shape), weight = random.normal({shape[-1]});
      std::vector<double> made;
      for (int64_t row = 0; row < s.size(); row += shape[-1]) {
        const auto [mean, scale] = row_norm(options, s.values.data() + row, shape[-1]);
        if (kind == NormOptions::kLayer) made.push_back(mean);
        made.push_back(scale);
      }
      const auto per_row = static_cast<int64_t>(made.size()) / (s.size() / shape[-1]);
      const HostTensor statistics =
          tensor_of(core::DType::kF32, shape.with_dim(-1, per_row), std::move(made));
      const HostTensor dy = random.normal(shape);
      for (bool later : {false, true})
        cases.push_back(
            {.name = fmt::format("norm gradient {} {} later {}", int{kind}, shape.str(), later),
             .op = std::make_shared<core::NormGrad>(options, later),
             .inputs = {dy, s, weight, statistics, later ? random.normal(shape) : absent()},
             .reference = norm_grad(options),
             .tolerance = 5e-6});
      for (bool bias : {false, true})
        cases.push_back({.name = fmt::format("norm weight gradient {} {} bias {}", int{kind},
                                             shape.str(), bias),
                         .op = std::make_shared<core::NormGradWeight>(options, bias),
                         .inputs = {dy, s, statistics},
                         .reference = norm_grad_weight(options, bias),
                         .tolerance = 5e-6});
    }
  return cases;
}

std::vector<OpCase> swiglu_cases() {
  std::vector<OpCase> cases;
  Random random(34);
  for (const Shape& shape : {Shape{2}, Shape{3, 10}, Shape{2, 3, 34}, Shape{97, 264}})
    cases.push_back({.name = "swiglu " + shape.str(),
                     .op = std::make_shared<core::SwiGlu>(),
                     .inputs = {random.normal(shape, 2)},
                     .reference = swiglu,
                     .activations = {0}});
  return cases;
}

std::vector<OpCase> rotary_cases() {
  std::vector<OpCase> cases;
  Random random(35);
  for (const auto& [samples, length, options] :
       {std::tuple<int64_t, int64_t, core::RotaryOptions>{1, 1, {.heads = 1, .total_heads = 1}},
        {2, 5, {.heads = 3, .total_heads = 4, .head_dim = 6}},
        {3, 37, {.heads = 2, .total_heads = 3, .head_dim = 136, .theta = 500000}},
        {1, 1031, {.heads = 1, .total_heads = 2, .head_dim = 16}},
        {2, 3, {.heads = 0, .total_heads = 1, .head_dim = 4}}})
    for (bool shifted : {false, true}) {
      OpCase c{
          .name = fmt::format("rotary {} x {}, {} of {} heads of {}, shifted {}", samples, length,
                              options.heads, options.total_heads, options.head_dim, shifted),
          .op = std::make_shared<core::Rotary>(options),
          .inputs = {random.normal({samples, length, options.total_heads * options.head_dim})},
          .reference = rotary(options),
          .activations = {0}};
      std::vector<double> from(static_cast<size_t>(samples), 3);
      from.back() = 100003;
      if (shifted) c.inputs.push_back(starts(from));
      cases.push_back(std::move(c));
    }
  return cases;
}

}  // namespace trireme::test
